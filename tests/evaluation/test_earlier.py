"""An evaluation in a folder with an earlier one: the same stands, another is refused, nothing is deleted unasked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf
from repository import ROOT, composed

from vrft_aug.engine.run import facts
from vrft_aug.evaluation.earlier import weights_of
from vrft_aug.evaluation.evaluate import accuracy_text
from vrft_aug.evaluation.metrics.measure import measure

RESULTS = ("predictions.parquet", "metrics.json", "shuffled/metrics.json", "pixels/metrics.json")


@pytest.fixture
def settings(rows, tmp_path) -> list[str]:
    """Overrides of an evaluation whose policy folder has weights and no config: it cannot be loaded."""
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "model.safetensors").write_bytes(b"weights")
    return [f"parquet={rows}", f"policy.path={policy}", "policy.max_prompt_length=null", f"out={tmp_path / 'out'}"]


@pytest.fixture
def out(settings, rows, tmp_path) -> Path:
    """The folder that this evaluation leaves when it has finished."""
    folder = tmp_path / "out"
    for beside in ("shuffled", "pixels"):
        (folder / beside).mkdir(parents=True)
    OmegaConf.save(composed("evaluate", *settings), folder / "config.yaml")
    finish(folder, rows, tmp_path / "policy")
    for name in RESULTS:
        (folder / name).write_text("results")
    return folder


def finish(folder: Path, rows: Path, policy: Path, **changes: object) -> None:
    about = {"sha256": facts.checksums(rows, "test"), "sha256_train": facts.checksums(rows, "train")}
    about |= {"weights": weights_of(str(policy))}
    record = {"recipe": "evaluate", "state": "finished", "has": ["shuffled", "pixels"], **about, **changes}
    (folder / "run.json").write_text(json.dumps(record))


def evaluate(*overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / "evaluate.py"), *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(*overrides: str) -> str:
    done = evaluate(*overrides)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_the_same_evaluation_stands(settings, out):
    before = content(out)
    done = evaluate(*settings)
    assert done.returncode == 0 and "nothing to do" in done.stdout, done.stderr
    assert content(out) == before
    assert "no config.json" in refused(*settings, "hardware.min_free_gigabytes=1")  # another machine: evaluated again


@pytest.mark.parametrize(("changed", "line"), [
    ("policy.path=another", "holds the evaluation of policy {policy}: choose another out, or remove that folder"),
    ("split=val", "holds the evaluation with other settings (1 differ: split: test -> val): choose another out"),
])  # fmt: skip
def test_an_evaluation_of_something_else_is_not_overwritten(settings, out, tmp_path, changed, line):
    before = content(out)
    assert line.format(policy=tmp_path / "policy") in refused(*settings, changed)
    assert content(out) == before


def test_weights_or_rows_that_changed_are_evaluated_again_and_nothing_is_deleted_before_the_checks(
    settings, out, rows, tmp_path
):
    for change in ({"weights": {}}, {"sha256": {}}, {"sha256_train": {}}, {"sha256_val": {}},
                   {"state": "interrupted"}):
        finish(out, rows, tmp_path / "policy", **change)
        before = content(out)
        assert "no config.json" in refused(*settings)  # it went on to load the policy, which cannot be loaded
        assert content(out) == before


def test_an_evaluation_without_logistic_regression_is_made_again_unless_it_could_have_none(
    settings, out, rows, tmp_path
):
    (out / "pixels" / "metrics.json").unlink()
    assert "no config.json" in refused(*settings)
    finish(out, rows, tmp_path / "policy", has=["shuffled"], without={"pixels": "boxes are no classes"})
    assert "nothing to do" in evaluate(*settings).stdout
    config = composed("evaluate", *settings)
    del config.opponents  # as an earlier version wrote it
    OmegaConf.save(config, out / "config.yaml")
    assert "no config.json" in refused(*settings)


def test_weights_are_told_apart_by_size_and_time(tmp_path):
    file = tmp_path / "policy" / "model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"one")
    first = weights_of(str(tmp_path))
    assert list(first) == ["policy/model.safetensors"] and weights_of(str(file.parent)).keys() == {file.name}
    os.utime(file, ns=(1, 1))
    assert weights_of(str(tmp_path)) != first
    (tmp_path / "step" / "actor").mkdir(parents=True)
    (tmp_path / "step" / "actor" / "model_rank_0.pt").write_bytes(b"shard")
    assert weights_of(str(tmp_path / "step")).keys() == {"actor/model_rank_0.pt"}
    assert weights_of(None) == weights_of("Qwen/Qwen2.5-VL-3B-Instruct") == {}


@pytest.mark.parametrize(("override", "reason"), [
    ("split=tests", "split=tests: must be one of train, val, test"),
    ("sampling.n=0", "sampling.n=0: must be a whole number, 1 or more"),
    ("sampling.temperature=hot", "sampling.temperature=hot: must be a number, 0 or more"),
    ("probabilities=1", "probabilities=1: must be true or false"),
    ("validation=maybe", "validation=maybe: must be true or false"),
    ("conditions=[dark]", "conditions=['dark']: must be a list of some of shuffled"),
    ("opponents=pixels", "opponents=pixels: must be a list of some of pixels"),
    ("parquet=nowhere", "nowhere/test.parquet does not exist: run recipes/prepare.py first"),
    ("dataset=phantom_grade", "the rows are of dataset=phantom, but dataset=phantom_grade is chosen"),
    ("policy.max_pixels=25088", "the rows were prepared for policy=tiny"),
])  # fmt: skip
def test_a_wrong_setting_is_refused_before_a_folder_is_made(settings, tmp_path, override, reason):
    assert reason in refused(*settings, override)
    assert not (tmp_path / "out").exists()


def test_answers_that_count_for_nothing_are_counted_on_the_terminal():
    table = pd.DataFrame({
        "data_source": "toy", "task": "classification", "source_id": list("abc"), "group_id": list("abc"),
        "index": range(3), "classes": [["cat", "dog"]] * 3, "ground_truth": ["cat", "dog", "dog"],
        "prediction": ["cat", "cow", ""], "rejected": ["", "not a class", "no answer"], "acc": [1, 0, 0],
        "prompt": "What?", "response": "", "response_length": 3,
    })  # fmt: skip
    (values,) = measure(table, resamples=10).values()
    expected = "accuracy 0.333; 2 of 3 answers are no class or cannot be read (no answer: 1, not a class: 1)"
    assert accuracy_text(values) == expected
    (values,) = measure(table.iloc[:1], resamples=10).values()
    assert accuracy_text(values) == "accuracy 1.000"
    (values,) = measure(table.iloc[:1].assign(thought_right=0.0), resamples=10).values()
    assert accuracy_text(values) == "accuracy 1.000; 0.000 of the thoughts name the findings"
