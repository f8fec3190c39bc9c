"""Tests the table of signs of reward hacking."""

from pathlib import Path

from toy_runs import write_training

from vrft_aug.evaluation.report.panels import bounds_of
from vrft_aug.evaluation.report.signs import explained, sign_table
from vrft_aug.evaluation.runs import find
from vrft_aug.rewards.diagnostics import MEANING

SIGNS = {"top_prediction": [0.5, 0.95, 0.6], "equal_groups": [0.1, 0.2, 0.92], "response_length": [20.0, 3.0, 30.0]}


def test_last_and_worst_values_and_what_crossed_its_bound(tmp_path: Path):
    write_training(tmp_path / "grpo", 3, signs=SIGNS | {"score_gap": [0.1, 0.0, -0.5]}, dataset="retina")
    table = sign_table(find([tmp_path]).trainings)
    assert table.header[:4] == ["Training", "Data set", "Task", "Measure"]
    assert {row[3]: row[4:] for row in table.rows} == {
        "top_prediction": ["0.6", "0.95 (step 2)", "at most 0.9", "(▲)"],
        "equal_groups": ["0.92", "0.92 (step 3)", "at most 0.9", "▲"],
        "response_length": ["30", "3 (step 2)", "at least 4", "(▲)"],
        "score_gap": ["-0.5", "0.1 (step 1)", "at most 0.3", ""],
    }
    assert table.rows[0][:3] == ["grpo", "retina", "grading"]
    mark, *meanings = explained(table)
    assert mark.startswith("▲: the last value")
    measures = ("top_prediction", "equal_groups", "response_length", "score_gap")
    assert sorted(meanings) == sorted(f"{name}, outside its bound: {MEANING[name]}" for name in measures)


def test_a_training_may_have_bounds_of_its_own(tmp_path: Path):
    own = {"top_prediction": [0.55, 0.99], "equal_groups": [None, None]}
    write_training(tmp_path / "grpo", 3, signs=SIGNS, warn=own)
    (training,) = find([tmp_path]).trainings
    assert {row[3]: row[4:] for row in sign_table([training]).rows} == {
        "top_prediction": ["0.6", "0.5 (step 1)", "at least 0.55, at most 0.99", "(▲)"],
        "response_length": ["30", "3 (step 2)", "at least 4", "(▲)"],
    }
    name = "reward/grading/top_prediction"
    write_training(tmp_path / "other", 3, signs=SIGNS)
    both = find([tmp_path]).trainings
    assert (bounds_of(name, [training]), bounds_of(name, both)) == ((0.55, 0.99), (None, None))


def test_the_mark_is_explained_only_where_a_row_has_it(tmp_path: Path):
    write_training(tmp_path / "grpo", 1, signs={"score_gap": [0.1]})
    lines = explained(sign_table(find([tmp_path]).trainings))
    assert any(line.startswith("score_gap") for line in lines) and not any("▲" in line for line in lines)


def test_nothing_measured_is_no_table(tmp_path: Path):
    write_training(tmp_path / "sft", 3)
    assert sign_table(find([tmp_path]).trainings) is None
