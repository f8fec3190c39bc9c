"""Tests finding runs below folders."""

import json
from pathlib import Path

import pytest
from toy_runs import cell_facts, cell_folder, predictions, write_cell, write_evaluation, write_training

from vrft_aug.errors import InputError
from vrft_aug.evaluation.runs import find

ROWS = predictions(["0", "1"], ["0", "0"])


def test_the_order_is_that_of_the_paths_then_of_the_end_times(tmp_path: Path):
    write_evaluation(tmp_path / "b" / "one", "late", ROWS, ended="2025-01-02T00:00:00Z")
    write_evaluation(tmp_path / "b" / "two", "early", ROWS, ended="2025-01-01T00:00:00Z")
    write_evaluation(tmp_path / "a", "other", ROWS)
    evaluations, trainings, _ = find([tmp_path / "b", tmp_path / "a", tmp_path / "b" / "one"])
    assert [one.name for one in evaluations] == ["early", "late", "other"]
    assert trainings == []


def test_training_steps_are_merged_and_an_unfinished_last_line_is_left_out(tmp_path: Path):
    folder = write_training(tmp_path / "grpo", steps=20)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 20, "data": {"actor/kl_loss": 9.0, "actor/grad_norm": None}}) + "\n")
        file.write('{"step": 21, "da')
    (training,) = find([tmp_path]).trainings
    assert training.name == "grpo"
    assert list(training.steps.index) == list(range(21))
    assert training.steps.loc[20, "actor/kl_loss"] == 9.0  # the resumed run's value
    assert training.steps.loc[20, "critic/score/mean"] == pytest.approx(0.8)
    assert training.steps["val-core/toy/acc/mean@1"].notna().sum() == 3


def test_damaged_training_line_is_named(tmp_path: Path):
    file = write_training(tmp_path / "grpo", steps=3) / "metrics.jsonl"
    file.write_text("not json\n" + file.read_text())
    with pytest.raises(InputError, match=r"metrics.jsonl, line 1"):
        find([tmp_path])


def test_incomplete_evaluations_are_refused(tmp_path: Path):
    folder = write_evaluation(tmp_path / "run", "run", ROWS)
    (folder / "predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"run.json but no predictions.parquet"):
        find([tmp_path])
    write_evaluation(tmp_path / "going" / "on", "run", ROWS, state="running")
    with pytest.raises(InputError, match=r"nothing to report .*this evaluation is running"):
        find([tmp_path / "going"])


def test_an_unfinished_evaluation_does_not_stop_the_others(tmp_path: Path):
    write_evaluation(tmp_path / "one", "one", ROWS)
    write_evaluation(tmp_path / "two", "two", ROWS, state="failed")
    found = find([tmp_path])
    assert [one.name for one in found.evaluations] == ["one"]
    assert found.unfinished == [f"{tmp_path / 'two'}: this evaluation is failed; left out"]


def test_a_stage_of_a_tables_cell_has_the_cells_name(tmp_path: Path):
    write_cell(tmp_path, "tiny", "retina", 10, "v_rft", rows=ROWS)
    for shots in (10, 20):
        facts = cell_facts("tiny", "retina", shots, "v_rft")
        for stage in ("train", "fine_tune"):
            write_training(cell_folder(tmp_path, "tiny", "retina", shots, "v_rft") / stage, 2, **facts)
    found = find([tmp_path])
    assert [one.name for one in found.evaluations] == ["v_rft"]
    names = ["v_rft/fine_tune (retina-10)", "v_rft (retina-10)", "v_rft/fine_tune (retina-20)", "v_rft (retina-20)"]
    assert [one.name for one in found.trainings] == names


def test_of_several_samples_the_chosen_one_is_compared(tmp_path: Path):
    rows = predictions(["0", "0"], ["0", "1"]).assign(source_id="image_0", sample=[0, 1], vote=[False, True])
    write_evaluation(tmp_path / "run", "run", rows)
    answers = find([tmp_path]).evaluations[0].answers_on("toy/grading")
    assert list(answers["acc"]) == [0.0]


def test_nothing_to_report(tmp_path: Path):
    with pytest.raises(InputError, match="no such run folder"):
        find([tmp_path / "absent"])
    with pytest.raises(InputError, match="nothing to report below"):
        find([tmp_path])


def test_labels_visual_tokens_and_knowledge_are_read_and_may_be_missing_or_null(tmp_path: Path):
    facts = {"labels": {"train": 9, "val": 3}, "image_tokens": {"least": 4, "most": 64}}
    write_evaluation(tmp_path / "1", "one", ROWS, knowledge={"unreviewed": 1, "entries": 2}, **facts)
    write_evaluation(tmp_path / "2", "two", ROWS, labels=None)
    one, two = (one.facts for one in find([tmp_path]).evaluations)
    assert (one.labels, one.image_tokens) == (facts["labels"], facts["image_tokens"])
    assert one.knowledge == {"unreviewed": 1, "entries": 2}
    assert (two.labels, two.image_tokens, two.knowledge) == (None, None, None)
