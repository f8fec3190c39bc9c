"""The reward for all boxes: optimal one-to-one matching, the price of a false box and of a missed one, no finding."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_rows import LESIONS, think

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.answer_text import MOST_BOXES
from vrft_aug.rewards.boxes import matched, overlap
from vrft_aug.rewards.iou import iou
from vrft_aug.rewards.parsing import parse

A, B, C, FAR = [0, 0, 100, 100], [200, 0, 300, 100], [0, 200, 100, 300], [400, 300, 500, 400]
side, corner = st.integers(1, 200), st.integers(0, 400)
lists = st.lists(st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side), max_size=6)


def scored(said: object, truth: list, objective: object = "boxes") -> dict:
    return compute_score("d", think(f"<answer>{said}</answer>"), json.dumps(truth), LESIONS, objective)


def greedy(one: list, other: list) -> float:
    """The sum of the IoUs when the best remaining pair is taken again and again."""
    pairs = sorted(((iou(a, b), i, j) for i, a in enumerate(one) for j, b in enumerate(other)), reverse=True)
    total, left, right = 0.0, set(), set()
    for value, i, j in pairs:
        if i not in left and j not in right:
            total, left, right = total + value, left | {i}, right | {j}
    return total


def test_the_matching_is_optimal_where_the_greedy_one_is_not():
    truth = [[0, 0, 100, 100], [40, 0, 140, 100]]
    said = [[30, 0, 130, 100], [80, 0, 180, 100]]
    # IoUs: said 1 with truth 1 70/130, with truth 2 90/110; said 2 with truth 1 20/180, with truth 2 60/140
    assert greedy(said, truth) == pytest.approx(90 / 110 + 20 / 180)
    assert sum(matched(said, truth)) == pytest.approx(70 / 130 + 60 / 140)
    assert sum(matched(said, truth)) > greedy(said, truth)
    assert matched(said, truth, threshold=0.4) == [1.0, 1.0]  # the greedy pairs would leave one out


@settings(deadline=None)
@given(lists, lists)
def test_the_matching_is_never_worse_than_greedy_and_symmetric(one: list, other: list):
    assert sum(matched(one, other)) >= greedy(one, other) - 1e-9
    for threshold in (None, 0.5):
        value = overlap(one, other, threshold)
        assert 0.0 <= value <= 1.0 and value == pytest.approx(overlap(other, one, threshold))
    assert overlap(one, one) == 1.0


@pytest.mark.parametrize("extra", range(5))
def test_a_false_box_costs_what_the_formula_says(extra: int):
    false = [[400 + 10 * i, 300, 405 + 10 * i, 305] for i in range(extra)]
    found = scored([A, B, C, *false], [A, B, C])
    assert found["boxes"] == pytest.approx(3 / (3 + extra))
    assert found["score"] == pytest.approx(0.9 * 3 / (3 + extra) + 0.1)
    assert found["acc"] == float(extra == 0)


@pytest.mark.parametrize("kept", range(4))
def test_a_missed_box_costs_its_share(kept: int):
    found = scored([A, B, C][:kept], [A, B, C])
    assert found["boxes"] == pytest.approx(kept / 3) and found["acc"] == float(kept == 3)


def test_a_box_twice_is_a_false_box():
    assert scored([A, A], [A])["boxes"] == pytest.approx(1 / 2)


def test_an_image_without_a_finding_pays_for_saying_so_alone():
    assert scored([], [])["score"] == 1.0
    assert (scored([], [])["acc"], scored([], [])["prediction"]) == (1.0, "[]")
    assert scored([A], [])["boxes"] == 0.0
    assert scored([], [A])["boxes"] == 0.0
    silent = compute_score("d", think("<answer></answer>"), "[]", LESIONS, "boxes")
    assert (silent["boxes"], silent["format"], silent["rejected"], silent["prediction"]) == (0.0, 0.0, "no box", "")


def test_a_threshold_of_null_pays_the_overlap():
    half = [0, 0, 100, 60]
    soft = {task: {"format": {"weight": 1}} for task in ("classification", "grading", "localization", "question")}
    soft["detection"] = {"boxes": {"weight": 1, "threshold": None}}
    assert scored([half, B], [A, B], soft)["boxes"] == pytest.approx((0.6 + 1) / 2)
    assert scored([half, B, FAR], [A, B], soft)["boxes"] == pytest.approx((0.6 + 1) / 3)
    assert scored([half], [A], soft)["boxes"] == pytest.approx(iou(half, A))  # one box each: the reward `iou`
    assert scored([half, B], [A, B])["boxes"] == 1.0


@pytest.mark.parametrize("said, boxes, rejected", [
    ("[[0,0,1,1],[2,2,3,3]]", 2, ""),
    ("[0,0,1,1] and [2,2,3,3]", 2, ""),
    ('[{"bbox_2d": [0, 0, 1, 1]}, {"bbox_2d": [2, 2, 3, 3]}]', 2, ""),
    ("```json\n[]\n```", 0, ""),
    ('{"boxes": [ ]}', 0, ""),
    ("[]</answer> <answer>[]", 0, ""),
    ("[[0,0,1,1]]</answer> <answer>[[2,2,3,3]]", 2, ""),
    ("[[0,0,1,1]] or []", None, "several answers"),
    ("none", None, "no box"),
    ("[1, 2, 3]", None, "no box"),
    ("[1,2,3,4]" * MOST_BOXES, MOST_BOXES, ""),
    ("[1,2,3,4]" * (MOST_BOXES + 1), None, f"more than {MOST_BOXES} boxes"),
])  # fmt: skip
def test_what_is_read_as_boxes_and_as_no_finding(said: str, boxes: int | None, rejected: str):
    response = parse(think(f"<answer>{said}</answer>"), "detection")
    assert response.rejected == rejected
    assert (None if response.boxes is None else len(response.boxes)) == boxes


def test_boxes_in_the_thought_and_outside_of_the_tags_do_not_count():
    for text in (f"<think><answer>[{A}]</answer></think>", think(f"[{A}]"), think("[]")):
        assert compute_score("d", text, json.dumps([A]), LESIONS)["rejected"] == "no box"


def test_boxes_are_converted_from_the_policys_frame():
    row = LESIONS | {"frame_size": [1000, 1000]}
    found = compute_score("d", think("<answer>[[0, 0, 500, 1000]]</answer>"), "[[0, 0, 300, 450]]", row, "boxes")
    assert (found["boxes"], json.loads(found["prediction"])) == (1.0, [[0, 0, 300, 450]])
