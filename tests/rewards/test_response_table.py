r"""Every reward and objective gives what the paper's equations give for a table of hand-written responses.

A case has the row's task, the ground truth and the response. The rest is worked out by hand: format (A.4), accuracy
(A.4, or eq. 2 at 0.5 for a box), the reason for rejection, `mfrs` (eq. 9) for grades, `overlap` (IoU) for boxes, and
`thought`, the text that eq. 7 reads.
"""

from dataclasses import dataclass

import pytest
import sacrebleu
from reward_rows import BOX, BREAST, KNOWLEDGE, PIXELS, RETINA, think

from vrft_aug.rewards import accuracy, compute_score, iou, mfrs, recitation
from vrft_aug.rewards import format as format_reward
from vrft_aug.rewards.parsing import parse

ROWS = {"classification": BREAST, "grading": RETINA, "localization": PIXELS}
LOOK = "I look at the image."


@dataclass(frozen=True)
class Case:
    task: str
    truth: str
    response: str
    format: float
    right: float
    rejected: str = ""
    mfrs: float = 0.0
    overlap: float = 0.0
    thought: str = LOOK


def label(response: str, format: float, right: float, rejected: str = "", truth="normal, benign", **more) -> Case:
    return Case("classification", truth, response, format, right, rejected, **more)


def grade(truth: str, response: str, format: float, mfrs: float, rejected: str = "", **more) -> Case:
    return Case("grading", truth, response, format, float(mfrs == 1), rejected, mfrs=mfrs, **more)


def box(response: str, format: float, overlap: float, rejected: str = "", truth: str = BOX, **more) -> Case:
    return Case("localization", truth, response, format, float(overlap >= 0.5), rejected, overlap=overlap, **more)


NOT, NONE, MANY = "not a class", "no answer", "several answers"
COPIED = f"malignant: {KNOWLEDGE[0]}\nnormal, benign: {KNOWLEDGE[1]}"
TABLE = [
    # --- classification: the right label in several forms
    label(think(r"\boxed{normal, benign}"), 1, 1),
    label(think(r"\boxed{Normal, Benign}"), 1, 1),
    label(think(r"\boxed{NORMAL,   BENIGN }"), 1, 1),
    label(think("\\boxed{normal,\nbenign}"), 1, 1),
    label(think(r"\boxed{\text{normal, benign}}"), 1, 1),
    label(think(r"\boxed{\textbf{\text{normal, benign}}}"), 1, 1),
    label(think(r"\boxed{\mathrm{normal, benign}}"), 1, 1),
    label(think(r"\boxed {normal, benign}"), 1, 1),
    label(think(r"\boxed{\boxed{normal, benign}}"), 1, 1),
    label(think(r"The answer is \boxed{normal, benign}, I am sure."), 1, 1),
    label(think(r"\boxed{normal, benign}, again \boxed{Normal, benign}"), 1, 1),
    label(think(r"<answer>\boxed{normal, benign}</answer>"), 1, 1),
    label("\n  " + think(r"\boxed{normal, benign}"), 1, 1),
    label(think(r"\boxed{malignant}"), 1, 1, truth="malignant"),
    # --- classification: something else in the box
    label(think(r"\boxed{malignant}"), 1, 0),
    label(think(r"\boxed{benign}"), 1, 0, NOT),
    label(think(r"\boxed{normal}"), 1, 0, NOT),
    label(think(r"\boxed{malignant or normal, benign}"), 1, 0, NOT),
    label(think(r"\boxed{malignant, normal, benign}"), 1, 0, NOT),
    label(think(r"\boxed{not normal, benign}"), 1, 0, NOT),
    label(think(r"\boxed{normal, benign.}"), 1, 0, NOT),
    label(think(r"\boxed{\text{normal}, \text{benign}}"), 1, 0, NOT),
    label(think(r"\boxed{nоrmal, benign}"), 1, 0, NOT),  # a Cyrillic o
    label(think(r"\boxed{ｍalignant}"), 1, 0, NOT, truth="malignant"),  # a full-width m
    label(think(r"\boxed{良性}"), 1, 0, NOT),
    label(think(r"\boxed{حميد}"), 1, 0, NOT),
    label(think(r"\boxed{0}"), 1, 0, NOT),
    label(think(r"\boxed{...}"), 1, 0, NOT),
    label(think(r"\boxed{\{normal, benign\}}"), 1, 0, NOT),
    # --- classification: no answer, or several
    label(think(r"\boxed{malignant} \boxed{normal, benign}"), 0, 0, MANY),
    label(think(r"\boxed{normal, benign} \boxed{malignant}", LOOK), 0, 0, MANY),
    label(think("normal, benign"), 0, 0, NONE),
    label(think(r"\boxed{}"), 0, 0, NONE),
    label(think(r"\boxed{ }"), 0, 0, NONE),
    label(think(r"\boxed{normal, benign"), 0, 0, NONE),
    label(think(r"boxed{normal, benign}"), 0, 0, NONE),
    label(think(r"<answer>normal, benign</answer>"), 0, 0, NONE),
    label("", 0, 0, NONE, thought=""),
    label(" \n\t", 0, 0, NONE, thought=""),
    label("{" * 100_000, 0, 0, NONE, thought="{" * 100_000),
    label(think("\\boxed" + "{" * 100_000), 0, 0, NONE),
    label(think(r"\boxed{" * 15_000), 0, 0, NONE),
    # --- classification: an answer in the thought does not count
    label(r"<think>\boxed{normal, benign}</think>", 0, 0, NONE, thought=r"\boxed{normal, benign}"),
    label(r"<think>It is \boxed{normal, benign}", 0, 0, NONE, thought=r"It is \boxed{normal, benign}"),
    label(
        r"<think>Either \boxed{malignant}?</think> \boxed{normal, benign}", 1, 1, thought=r"Either \boxed{malignant}?"
    ),
    label(r"\boxed{normal, benign} <think>Why?</think>", 0, 0, NONE, thought=r"\boxed{normal, benign} Why?"),
    label(r"<think>a</think>\boxed{malignant}<think>b</think>", 0, 0, NONE, thought=r"a\boxed{malignant}b"),
    label(r"<think>a</think>\boxed{malignant}<think>b", 0, 1, truth="malignant", thought=r"a b"),
    # --- classification: the structure is broken, the answer is right
    label(r"\boxed{normal, benign}", 0, 1, thought=r"\boxed{normal, benign}"),
    label(r"<think></think> \boxed{normal, benign}", 0, 1, thought=""),
    label(r"I look at the image.</think> \boxed{normal, benign}", 0, 1),
    label(r"<think>a</think><think>b</think> \boxed{normal, benign}", 0, 1, thought="ab"),
    label(r"Well. " + think(r"\boxed{normal, benign}"), 0, 1, thought="Well. " + LOOK),
    label(r"<THINK>a</THINK> \boxed{normal, benign}", 0, 1, thought=r"<THINK>a</THINK> \boxed{normal, benign}"),
    # --- recitation
    label(think(r"\boxed{malignant}", COPIED), 1, 1, truth="malignant", thought=COPIED),
    label(think(r"\boxed{malignant}", BREAST["prompt"]), 1, 1, truth="malignant", thought=BREAST["prompt"]),
    label(
        BREAST["prompt"] + r" \boxed{malignant}",
        0,
        1,
        truth="malignant",
        thought=BREAST["prompt"] + r" \boxed{malignant}",
    ),
    # --- grading: distance 0, 1, 2, 3, 4, on both sides
    grade("2", think(r"\boxed{2}"), 1, 1),
    grade("2", think(r"\boxed{1}"), 1, 1 / 4),
    grade("2", think(r"\boxed{3}"), 1, 1 / 4),
    grade("2", think(r"\boxed{0}"), 1, 1 / 16),
    grade("2", think(r"\boxed{4}"), 1, 1 / 16),
    grade("0", think(r"\boxed{3}"), 1, 0),
    grade("4", think(r"\boxed{0}"), 1, 0),
    grade("0", think(r"\boxed{\text{0}}"), 1, 1),
    grade("3", "\\boxed{2}", 0, 1 / 4, thought="\\boxed{2}"),
    # --- grading: no grade
    grade("2", think(r"\boxed{5}"), 1, 0, NOT),
    grade("0", think(r"\boxed{-1}"), 1, 0, NOT),
    grade("2", think(r"\boxed{2.0}"), 1, 0, NOT),
    grade("2", think(r"\boxed{1.5}"), 1, 0, NOT),
    grade("2", think(r"\boxed{02}"), 1, 0, NOT),
    grade("2", think(r"\boxed{grade 2}"), 1, 0, NOT),
    grade("2", think(r"\boxed{two}"), 1, 0, NOT),
    grade("2", think(r"\boxed{２}"), 1, 0, NOT),
    grade("2", think(r"\boxed{٢}"), 1, 0, NOT),
    grade("2", think(r"\boxed{1-3}"), 1, 0, NOT),
    grade("2", think(r"\boxed{NaN}"), 1, 0, NOT),
    grade("2", think(r"\boxed{" + "9" * 10_000 + "}"), 1, 0, NOT),
    grade("2", think(r"\boxed{1} or \boxed{2}"), 0, 0, MANY),
    grade("2", think("2"), 0, 0, NONE),
    # --- localization: JSON in several forms
    box(think("<answer>[100, 100, 200, 200]</answer>"), 1, 1),
    box(think('<answer>{"bbox_2d": [100, 100, 200, 200], "label": "lesion"}</answer>'), 1, 1),
    box(think('<answer>```json\n[{"bbox_2d": [100, 100, 200, 200]}]\n```</answer>'), 1, 1),
    box(think("<answer>The box is [1e2, 100.0, +200, 200.]</answer>"), 1, 1),
    box(think("<answer>[[100,100,200,200]]</answer>"), 1, 1),
    box(think("<answer>[100,100,200,200] [100.0,100,200,200]</answer>"), 1, 1),
    box(think("<answer>[100, 100, 200, 150]</answer>"), 1, 0.5),  # exactly the threshold: eq. 2 says >=
    box(think("<answer>[150, 100, 250, 200]</answer>"), 1, 1 / 3),
    box(think("<answer>[200, 200, 300, 300]</answer>"), 1, 0),  # they touch in a point
    box(think("<answer>[-1e300, -1e300, 1e300, 1e300]</answer>"), 1, 0),
    box("<answer>[100, 100, 200, 200]</answer>", 0, 1, thought="<answer>[100, 100, 200, 200]</answer>"),
    # --- localization: no area, no box, several
    box(think("<answer>[200, 100, 100, 200]</answer>"), 1, 0, "box without area"),
    box(think("<answer>[100, 200, 200, 100]</answer>"), 1, 0, "box without area"),
    box(think("<answer>[100, 100, 100, 200]</answer>"), 1, 0, "box without area"),
    box(think("<answer>[NaN, 100, 200, 200]</answer>"), 0, 0, "no box"),
    box(think("<answer>[100, 100, 1e999, 200]</answer>"), 0, 0, "no box"),
    box(think("<answer>[100, 100, Infinity, 200]</answer>"), 0, 0, "no box"),
    box(think("<answer>[100, 100, 200]</answer>"), 0, 0, "no box"),
    box(think("<answer>[100, 100, 200, 200, 0.9]</answer>"), 0, 0, "no box"),
    box(think("<answer>[100 100 200 200]</answer>"), 0, 0, "no box"),
    box(think("<answer>['a', 'b', 'c', 'd']</answer>"), 0, 0, "no box"),
    box(think("<answer>[１００, 100, 200, 200]</answer>"), 0, 0, "no box"),
    box(think("<answer></answer>"), 0, 0, "no box"),
    box(think("<answer>[100, 100, 200, 200]"), 0, 0, "no box"),
    box(think("[100, 100, 200, 200]"), 0, 0, "no box"),
    box(think(r"\boxed{[100, 100, 200, 200]}"), 0, 0, "no box"),
    box(think("<answer>" + "[" * 100_000 + "</answer>"), 0, 0, "no box"),
    box(think("<answer>[100, 100, 200, 200], [0, 0, 10, 10]</answer>"), 0, 0, MANY),
    box(think("<answer>[100, 100, 200, 200]</answer><answer>[0, 0, 10, 10]</answer>"), 0, 0, MANY),
    box(
        "<think>a</think> <think><answer>[100, 100, 200, 200]</answer></think>",
        *(0, 0, "no box"),
        thought="a <answer>[100, 100, 200, 200]</answer>",
    ),
    box("", 0, 0, "no box", thought=""),
]
IDS = [f"{i:03d}-{case.task[:5]}-{case.response[-30:]!r}" for i, case in enumerate(TABLE)]
every = pytest.mark.parametrize("case", TABLE, ids=IDS)


def bleu(case: Case) -> float:
    """sacrebleu's number against the knowledge block; 0 for a box, whose prompt has no knowledge."""
    row = ROWS[case.task]
    block = "\n".join(f"{name}: {entry}" for name, entry in zip(row["classes"], row["knowledge"], strict=False))
    return sacrebleu.sentence_bleu(case.thought, [block]).score / 100 if block else 0.0


def score(case: Case, objective: str) -> dict:
    return compute_score("a data set", case.response, case.truth, ROWS[case.task], objective)


@every
def test_every_reward(case: Case):
    row, response = ROWS[case.task], parse(case.response, case.task)
    assert format_reward.reward(response, case.truth, row) == case.format
    assert response.thought == case.thought
    if case.task == "localization":
        assert iou.reward(response, case.truth, row) == case.right
        assert iou.reward(response, case.truth, row, threshold=None) == pytest.approx(case.overlap)
    else:
        assert accuracy.reward(response, case.truth, row) == case.right
        assert recitation.reward(response, case.truth, row) == pytest.approx(bleu(case), abs=1e-9)
    if case.task == "grading":
        assert mfrs.reward(response, case.truth, row) == case.mfrs


@every
@pytest.mark.parametrize("objective", ["accuracy", "mfrs", "mfrs_readers", "iou", "recite_pos", "recite_neg"])
def test_every_objective(case: Case, objective: str):
    delta = {"recite_pos": 0.2, "recite_neg": -2.0}.get(objective, 0.0) if case.task != "localization" else 0.0
    recited = max(-1.0, min(1.0, delta * bleu(case)))  # eq. 7
    main = case.mfrs if objective.startswith("mfrs") and case.task == "grading" else case.right
    result = score(case, objective)
    assert result["score"] == pytest.approx(0.9 * main + 0.1 * case.format + recited, abs=1e-9)  # eq. 8, 10
    assert (result["acc"], result["rejected"], result["task"]) == (case.right, case.rejected, case.task)
    assert bool(result["prediction"]) == (case.rejected not in (NONE, MANY, "no box"))


def test_the_penalty_is_clipped_and_says_so():
    (copied,) = (case for case in TABLE if case.format == 1 and case.thought == COPIED)
    result = score(copied, "recite_neg")
    assert result["recitation"] == pytest.approx(1.0)  # the knowledge, word for word: delta * BLEU would be -2
    assert result["recitation_clipped"] == 1.0
    assert result["score"] == pytest.approx(0.9 + 0.1 - 1.0)
    assert score(copied, "recite_pos")["recitation_clipped"] == 0.0


def test_keys_are_the_same_for_every_sample():
    for objective in ("accuracy", "mfrs", "iou", "recite_pos", "recite_neg"):
        keys = {tuple(score(case, objective)) for case in TABLE}
        assert len(keys) == 1
        assert "reward" not in keys.pop()  # verl's own name for the score


def test_the_table_is_long_enough():
    assert len({case.response for case in TABLE}) >= 60
