"""Tests comparisons with the baseline, with shuffled images and with logistic regression, and the marks."""

from pathlib import Path

import numpy as np
import pytest
from toy_runs import GRADES, predictions, write_evaluation

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.runs import find

TRUTH = np.random.default_rng(0).choice(GRADES, 300, p=[0.4, 0.1, 0.2, 0.2, 0.1])


def _answers(share_right: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(300) < share_right, TRUTH, rng.choice(GRADES, 300))


def _compare(folder: Path, baseline: str | None = None) -> dict:
    return {one.name: one for one in compare(find([folder])[0], baseline)}


def test_before_and_after(tmp_path: Path):
    write_evaluation(tmp_path / "1", "before", predictions(TRUTH, _answers(0.1)))
    write_evaluation(tmp_path / "2", "after", predictions(TRUTH, _answers(0.8)))
    runs = _compare(tmp_path)
    assert runs["before"].baseline is None and runs["before"].against_baseline is None
    assert runs["after"].baseline == "before"
    assert runs["after"].against_baseline["p"] < 1e-6
    assert runs["after"].against_baseline["only_b"] > runs["after"].against_baseline["only_a"]
    assert runs["after"].notes == [
        "after on toy/grading: not evaluated with shuffled images",
        "after on toy/grading: no logistic regression on pixels",
    ]


def test_the_baseline_can_be_named(tmp_path: Path):
    write_evaluation(tmp_path / "1", "before", predictions(TRUTH, _answers(0.1)))
    write_evaluation(tmp_path / "2", "after", predictions(TRUTH, _answers(0.8)))
    assert _compare(tmp_path, "after")["before"].baseline == "after"
    with pytest.raises(InputError, match="baseline=sft: no evaluation has this name; the runs are: after, before"):
        _compare(tmp_path, "sft")


@pytest.mark.parametrize(
    ("answers", "mark"),
    [(["0"] * 300, "†"), (["1"] * 300, "‡"), (list(TRUTH), "")],
    ids=["constant", "worse than constant", "right"],
)
def test_constant_predictors_are_marked(tmp_path: Path, answers: list[str], mark: str):
    write_evaluation(tmp_path / "1", "run", predictions(TRUTH, answers))
    assert _compare(tmp_path)["run"].marks == mark


def test_a_policy_that_ignores_its_images_is_marked(tmp_path: Path):
    seeing, blind = predictions(TRUTH, _answers(0.8)), predictions(TRUTH, _answers(0.0))
    write_evaluation(tmp_path / "seeing", "seeing", seeing)
    write_evaluation(tmp_path / "seeing" / "shuffled", "seeing", blind, beside="shuffled")
    write_evaluation(tmp_path / "blind", "blind", blind)
    write_evaluation(tmp_path / "blind" / "shuffled", "blind", predictions(TRUTH, _answers(0, 2)), beside="shuffled")
    runs = _compare(tmp_path)
    assert list(runs) == ["blind", "seeing"]  # evaluations with shuffled images are not listed
    assert "§" in runs["blind"].marks
    assert runs["seeing"].marks == ""
    blind, seeing = runs["seeing"].metrics_of("shuffled"), runs["seeing"].metrics
    assert blind["accuracy"]["value"] < 0.4 < seeing["accuracy"]["value"]


def test_each_run_is_compared_with_the_logistic_regression_in_its_own_folder(tmp_path: Path):
    for seed, share in ((1, 0.2), (2, 0.6)):
        folder = write_evaluation(tmp_path / f"seed_{seed}", f"run {seed}", predictions(TRUTH, _answers(0.4)))
        write_evaluation(folder / "pixels", "regression", predictions(TRUTH, _answers(share, seed)), beside="pixels")
    runs = _compare(tmp_path)
    assert list(runs) == ["run 1", "run 2"]  # logistic regression is not listed
    first, second = (one.metrics_of("pixels")["accuracy"]["value"] for one in runs.values())
    assert first < runs["run 1"].metrics["accuracy"]["value"] < second
    tests = [one.test("pixels") for one in runs.values()]
    assert tests[0]["only_b"] > tests[0]["only_a"] and tests[1]["only_b"] < tests[1]["only_a"]
    assert not any("pixels" in note for one in runs.values() for note in one.notes)


def test_a_missing_logistic_regression_is_noted_with_its_reason_and_not_for_boxes(tmp_path: Path):
    rows = predictions(TRUTH, TRUTH)
    write_evaluation(tmp_path / "run", "run", rows, without={"pixels": "it is not in opponents"})
    write_evaluation(tmp_path / "box", "box", predictions(["[0, 0, 4, 4]"], ["[0, 0, 4, 4]"], [], "localization"))
    runs = _compare(tmp_path)
    assert "run on toy/grading: no logistic regression on pixels (it is not in opponents)" in runs["run"].notes
    assert not any("pixels" in note for note in runs["box"].notes)


def test_too_little_data_is_noted_once_per_run(tmp_path: Path):
    folder = write_evaluation(tmp_path / "run", "run", predictions(TRUTH, TRUTH).iloc[:42])
    for beside in ("pixels", "shuffled"):
        write_evaluation(folder / beside, "beside", predictions(TRUTH, TRUTH).iloc[:42], beside=beside)
    (note,) = [note for note in _compare(tmp_path)["run"].notes if "too little data" in note]
    assert note.startswith("run on toy/grading: too little data: 42 test images, ")


def test_runs_on_different_images_get_a_note_and_no_test(tmp_path: Path):
    write_evaluation(tmp_path / "1", "before", predictions(TRUTH, _answers(0.1)))
    write_evaluation(tmp_path / "2", "after", predictions(TRUTH, _answers(0.8)).iloc[:200])
    after = _compare(tmp_path)["after"]
    assert after.against_baseline is None
    assert any("100 are in only one run" in note for note in after.notes)


def test_validation_and_test_are_not_compared(tmp_path: Path):
    write_evaluation(tmp_path / "1", "before", predictions(TRUTH, _answers(0.1)), split="val")
    write_evaluation(tmp_path / "2", "after", predictions(TRUTH, _answers(0.8)), split="test")
    assert _compare(tmp_path)["after"].baseline is None


def test_runs_with_the_same_name_get_distinct_names(tmp_path: Path):
    for seed in (1, 2):
        write_evaluation(tmp_path / f"seed_{seed}", "run", predictions(TRUTH, _answers(0.5, seed)))
    assert list(_compare(tmp_path)) == ["run (seed_1)", "run (seed_2)"]
