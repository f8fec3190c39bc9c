"""Rewards keep their properties for any text, box and grade."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_rows import BOX, BOXES, BREAST, LESION, LESIONS, MASS, PIXELS, RETINA, think

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.iou import iou
from vrft_aug.rewards.objective import FOLDER
from vrft_aug.rewards.parsing import FORMS

OBJECTIVES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
READ = RETINA | {"readers": [{"name": "R", "value": "2"}, {"name": "D", "value": "4"}]}
ROWS = [(BREAST, "malignant"), (RETINA, "2"), (READ, "3"), (LESION, BOX), (LESIONS, BOXES), (LESIONS, "[]"),
        (MASS, "none")]  # fmt: skip
PIECES = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<confidence>",
    "</confidence>",
    "0.5",
    "\\boxed{",
    "\\text{",
    "{",
    "}",
    "[",
    "]",
    "[1,2,3,4]",
    "[100,100,200,200]",
    "[]",
    ",",
    "1e999",
]
text = st.text(max_size=60)
responses = st.lists(st.one_of(st.sampled_from([*PIECES, "2", "malignant", " "]), text), max_size=12).map("".join)
lengths = st.none() | st.integers(0, 5000)
shares = st.none() | st.floats(0, 1)

side = st.integers(1, 500)
corner = st.integers(-500, 500)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)


@settings(deadline=None, max_examples=300)
@given(responses, st.sampled_from(ROWS), st.sampled_from(OBJECTIVES), lengths, shares, st.sampled_from(FORMS),
       st.booleans())  # fmt: skip
def test_any_text_gives_finite_rewards_in_range(
    response: str, row_and_truth: tuple, objective: str, tokens: int | None, progress: float | None, form: str,
    confidence: bool,
):
    row, truth = row_and_truth
    row = row | {"form": form, "confidence": confidence}
    result = compute_score("d", response, truth, row, objective, tokens=tokens, progress=progress)
    parts = {k: v for k, v in result.items() if isinstance(v, float) and k != "score"}
    assert all(0.0 <= value <= 1.0 for value in parts.values())
    assert math.isfinite(result["score"])
    assert -1.0 <= result["score"] <= 1.2  # eq. 8 with delta * BLEU in [-1, 0.2]
    assert result["acc"] <= (result["rejected"] == "")


@settings(deadline=None, max_examples=300)
@given(responses, text, st.sampled_from(ROWS[:2]))
def test_words_around_the_answer_never_raise_accuracy(answer: str, words: str, row_and_truth: tuple):
    row, truth = row_and_truth
    words = words.translate(dict.fromkeys(map(ord, "\\{}<>")))  # so the words cannot be part of an answer
    plain = compute_score("d", think(answer), truth, row)["acc"]
    for other in (words + think(answer), think(answer, words or "x"), think(answer) + " " + words):
        assert compute_score("d", other, truth, row)["acc"] <= plain


@given(st.sampled_from(["malignant", "normal, benign"]), st.text(alphabet="abcdefghij ,", max_size=20))
def test_listing_further_classes_never_pays(truth: str, other: str):
    listed = compute_score("d", think(rf"\boxed{{{truth}}} \boxed{{{other}x}}"), truth, BREAST)
    inside = compute_score("d", think(rf"\boxed{{{truth} or {other}}}"), truth, BREAST)
    assert (listed["acc"], inside["acc"]) == (0.0, 0.0)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_mfrs_falls_with_distance(truth: int, near: int, far: int):
    if abs(near - truth) > abs(far - truth):
        near, far = far, near
    score = {g: compute_score("d", think(rf"\boxed{{{g}}}"), str(truth), RETINA, "mfrs")["mfrs"] for g in (near, far)}
    assert score[near] >= score[far]
    assert (score[near] == 1.0) == (near == truth)


@given(st.integers(0, 4), st.integers(0, 4))
def test_kappa_is_one_for_the_truth_and_zero_for_the_farthest_grade_alone(truth: int, answer: int):
    found = compute_score("d", think(rf"\boxed{{{answer}}}"), str(truth), RETINA, "kappa")["kappa"]
    assert (found == 1.0) == (answer == truth) and (found == 0.0) == (abs(answer - truth) == 4)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_a_longer_response_never_pays_more(shorter: int, longer: int):
    found = [
        compute_score("d", think(r"\boxed{2}"), "2", RETINA, "length", tokens=tokens)["length"]
        for tokens in sorted((shorter, longer))
    ]
    assert found[0] >= found[1]


@given(boxes, st.floats(0, 1), st.floats(0, 1))
def test_a_tightening_threshold_never_pays_later_for_what_it_did_not_pay_before(box: tuple, one: float, other: float):
    text = think(f"<answer>{list(box)}</answer>")
    early, late = (
        compute_score("d", text, BOX, PIXELS, "iou_tightening", progress=progress)["iou"]
        for progress in sorted((one, other))
    )
    assert early >= late


@given(boxes, boxes, st.integers(1, 1000), st.integers(1, 1000))
def test_iou_is_symmetric_scale_invariant_and_one_for_equal_boxes(a: tuple, b: tuple, sx: int, sy: int):
    def scaled(box):
        return (box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy)

    assert iou(a, b) == iou(b, a)
    assert iou(scaled(a), scaled(b)) == pytest.approx(iou(a, b))
    assert iou(a, a) == 1.0
    assert 0.0 <= iou(a, b) <= 1.0


@given(boxes, boxes)
def test_iou_counts_pixels(a: tuple, b: tuple):
    def pixels(box, axis):
        return set(range(box[axis], box[axis + 2]))

    both = len(pixels(a, 0) & pixels(b, 0)) * len(pixels(a, 1) & pixels(b, 1))
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - both
    assert iou(a, b) == pytest.approx(both / either)


@pytest.mark.parametrize(
    "unit",
    [
        "{",
        "{}",
        "\\boxed{",
        "\\boxed{a}",
        "\\boxed  ",
        "<think>",
        "</think>",
        "<answer>",
        "[",
        "[1",
        "1",
        " ",
        "[1,2,3,4]",
        "<confidence>",
        "<confidence>1</confidence>",
        "[]",
        "[ ",
        ". ",
        "a b ",
    ],
)
@pytest.mark.parametrize(("opening", "form", "objective"), [
    ("", "think_first", "recite_neg"), ("<think>x</think>\\boxed{", "think_first", "recite_neg"),
    ("<think>x</think><answer>[", "think_first", "recite_neg"), ("\\boxed{a}<confidence>", "answer_first", "rlcr"),
])  # fmt: skip
def test_a_megabyte_takes_less_than_a_second(unit: str, opening: str, form: str, objective: str):
    response = opening + unit * (1_000_000 // len(unit))
    for row, truth in (ROWS[0], (PIXELS, BOX), (LESIONS, BOXES)):
        start = time.process_time()
        compute_score("d", response, truth, row | {"form": form}, objective)
        assert time.process_time() - start < 1.0
