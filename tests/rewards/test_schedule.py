"""A parameter with a schedule follows the steps of a training; what trains nothing is scored with its last value."""

import pickle

import pytest
from reward_rows import BOX, PIXELS, think

from vrft_aug.errors import InputError
from vrft_aug.rewards import compose, compute_score
from vrft_aug.rewards.objective import load
from vrft_aug.rewards.schedule import Schedule, progress

HALF = think("<answer>[100, 100, 200, 150]</answer>")  # IoU 0.5 exactly
TRAIN, VAL = ({**PIXELS, "split": split} for split in ("train", "val"))


def tightening(**schedule: object) -> dict:
    objective = load("iou_tightening")
    objective["localization"]["iou"]["threshold"] = schedule
    return objective


def test_the_line():
    line = Schedule(0.3, 0.75, 0.5)
    assert [line.at(done) for done in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([0.3, 0.525, 0.75, 0.75, 0.75])
    assert (line.at(0.0), line.at(0.5), line.at(None)) == (0.3, 0.75, 0.75)  # its ends are exact
    assert Schedule(0.9, 0.1, 1.0).at(0.5) == pytest.approx(0.5)  # it may fall


def test_the_progress_of_a_step():
    assert [progress(TRAIN, step, 5) for step in (1, 2, 3, 4, 5, 6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert progress(TRAIN, 1, 1) == 0
    assert progress(VAL, 1, 5) is None and progress(PIXELS, 1, 5) is None


def test_the_same_box_pays_early_and_not_late():
    results = [compute_score("d", HALF, BOX, TRAIN, "iou_tightening", progress=done) for done in (0, 0.2, 0.25, None)]
    assert [result["iou_threshold"] for result in results] == pytest.approx([0.3, 0.48, 0.525, 0.75])
    assert [result["iou"] for result in results] == [1, 1, 0, 0]
    assert {result["acc"] for result in results} == {1.0}  # the accuracy at IoU 0.5 does not move with the threshold
    assert compute_score("d", HALF, BOX, TRAIN, "iou_continuous", progress=0.1)["iou"] == 0.5


def test_every_sample_has_the_parameter_and_an_objective_without_schedule_has_none():
    row = {"task": "classification", "classes": ["a"]}
    assert compute_score("d", think(r"\boxed{a}"), "a", row, "iou_tightening")["iou_threshold"] is None
    assert "iou_threshold" not in compute_score("d", HALF, BOX, TRAIN, "iou")
    assert pickle.loads(pickle.dumps(compose("iou_tightening"))) == compose("iou_tightening")
    assert compose("iou_tightening").scheduled and not compose("iou").scheduled


@pytest.mark.parametrize(
    "schedule",
    [
        {"from": 0.3, "to": 0.75},
        {"from": 0.3, "to": 0.75, "over": 0},
        {"from": 0.3, "to": 0.75, "over": 60},
        {"from": 0.3, "to": None, "over": 0.5},
        {"from": "0.3", "to": 0.75, "over": 0.5},
        {"from": 0.3, "to": 0.75, "over": 0.5, "steps": 60},
    ],
)
def test_a_malformed_schedule_is_refused(schedule: dict):
    line = r"^objective: localization\.iou\.threshold: a schedule is \{from: <number>, to: <number>, over: .*found"
    with pytest.raises(InputError, match=line):
        compose(tightening(**schedule))


def test_only_a_number_can_have_a_schedule():
    schedule = {"from": 0, "to": 1, "over": 1}
    objective = load("iou_tightening")
    objective["localization"]["iou"]["inclusive"] = schedule
    with pytest.raises(InputError, match=r"localization\.iou\.inclusive: must be bool, found 1\.0"):
        compose(objective)
    objective = load("length")
    objective["grading"]["length"]["tokens"] = schedule | {"from": 200, "to": 100}
    assert compose(objective).scheduled
