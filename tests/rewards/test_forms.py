"""What counts as thought, answer and confidence follows what the prompt asks for, and nobody can think unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reward_rows import BOX, BREAST, KNOWLEDGE, PIXELS, RETINA

from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score
from vrft_aug.rewards.parsing import FORMS, parse
from vrft_aug.rewards.thought import thought_right

FIRST, LAST, ALONE = r"<think>a look</think> \boxed{2}", r"\boxed{2} <think>a look</think>", r"\boxed{2}"
SURE = "<confidence>0.8</confidence>"


@pytest.mark.parametrize(("form", "text", "label", "structured", "thought"), [
    ("think_first", FIRST, "2", True, "a look"),
    ("think_first", LAST, "", False, r"\boxed{2} a look"),
    ("think_first", ALONE, "2", False, ALONE),
    ("answer_first", LAST, "2", True, "a look"),
    ("answer_first", f" {LAST}\n", "2", True, "a look"),
    ("answer_first", FIRST, "", False, r"a look \boxed{2}"),
    ("answer_first", f"I see two, so {LAST}", "", False, "a look"),  # a thought without tags
    ("answer_first", f"{LAST} more", "2", False, "a look more"),
    ("answer_first", r"\boxed{2} <think> </think>", "2", False, ""),
    ("answer_first", r"\boxed{2} <think>a</think> <think>b</think>", "2", False, "a b"),
    ("answer_first", r"\boxed{2} <think>no, \boxed{3}</think>", "2", True, r"no, \boxed{3}"),
    ("answer_first", ALONE, "2", False, ALONE),  # a recitation without tags is a thought
    ("answer_only", ALONE, "2", True, ""),
    ("answer_only", f"\n{ALONE} {SURE} ", "2", True, ""),
    ("answer_only", FIRST, "", False, r"a look \boxed{2}"),
    ("answer_only", LAST, "2", False, "a look"),
    ("answer_only", rf"I see two, so {ALONE}", "", False, ""),
    ("answer_only", rf"{ALONE}, since I see two", "2", False, ""),
    ("answer_only", rf"</think> {ALONE}", "", False, ""),
    ("answer_only", r"\boxed{2} or \boxed{3}", "", True, ""),
])  # fmt: skip
def test_the_answer_counts_where_the_form_puts_it(form, text, label, structured, thought):
    found = parse(text, "grading", form=form)
    assert (found.label, found.structured, found.thought) == (label, structured, thought)
    scored = compute_score("d", text, "2", RETINA | {"form": form})
    assert (scored["acc"], scored["format"]) == (float(label == "2"), float(structured and label == "2"))


@given(st.text(max_size=60))
def test_a_thought_before_the_answer_never_pays_where_none_is_asked_for(thought: str):
    for form in ("answer_only", "answer_first"):
        for text in (rf"<think>{thought}</think> \boxed{{2}}", rf"x{thought} \boxed{{2}}"):
            scored = compute_score("d", text, "2", RETINA | {"form": form})
            assert scored["score"] == 0.0 and scored["rejected"] == "no answer"


def test_a_row_of_an_earlier_version_thinks_first():
    for missing in (RETINA, RETINA | {"form": None}):
        assert compute_score("d", FIRST, "2", missing) == compute_score("d", FIRST, "2", RETINA | {"form": FORMS[0]})
    with pytest.raises(InputError, match=r"extra_info.form is 'brief', not one of think_first, answer_only"):
        compute_score("d", FIRST, "2", RETINA | {"form": "brief"})


@pytest.mark.parametrize("form", ["answer_only", "answer_first"])
def test_boxes_follow_the_form_too(form):
    thought = " <think>edges</think>" * (form == "answer_first")
    assert compute_score("d", f"<answer>{BOX}</answer>{thought}", BOX, PIXELS | {"form": form}, "iou")["score"] == 1.0
    before = compute_score("d", f"<think>edges</think> <answer>{BOX}</answer>", BOX, PIXELS | {"form": form}, "iou")
    assert (before["score"], before["rejected"]) == (0.0, "no box")


def test_a_thought_behind_the_answer_can_recite_and_name_the_findings():
    copied = " ".join(f"{name}: {entry}" for name, entry in zip(BREAST["classes"], KNOWLEDGE, strict=True))
    row = BREAST | {"form": "answer_first", "findings": "dark mass"}
    for text in (rf"\boxed{{malignant}} <think>{copied}</think>", rf"\boxed{{malignant}} {copied}"):
        assert compute_score("d", text, "malignant", row, "recite_neg")["recitation"] > 0.8
    assert thought_right(r"\boxed{malignant} <think>a dark mass</think>", row) == 1.0
    assert thought_right(r"<think>a dark mass</think> \boxed{malignant}", row) == 1.0
    assert thought_right(r"\boxed{malignant}", row | {"form": "answer_only"}) is None


@pytest.mark.parametrize(("said", "confidence"), [
    ("<confidence>0.8</confidence>", 0.8), ("<confidence> 1 </confidence>", 1.0), ("<confidence>.5</confidence>", 0.5),
    ("<confidence>0</confidence>", 0.0), ("<confidence>0.80</confidence> <confidence>0.8</confidence>", 0.8),
    ("", None), ("<confidence>high</confidence>", None), ("<confidence>80%</confidence>", None),
    ("<confidence>1.2</confidence>", None), ("<confidence>-0.1</confidence>", None), ("<confidence>0.8", None),
    ("<confidence>1e999</confidence>", None), ("<confidence>0.2</confidence> <confidence>0.9</confidence>", None),
    ("<Confidence>0.8</Confidence>", None),
])  # fmt: skip
def test_a_confidence_is_one_number_from_0_to_1(said, confidence):
    assert parse(f"{FIRST} {said}", "grading").confidence == confidence
    scored = compute_score("d", f"{FIRST} {said}", "2", RETINA | {"confidence": True})
    assert scored["stated_confidence"] == confidence
    assert scored["format"] == float(confidence is not None)
    assert compute_score("d", f"{FIRST} {said}", "2", RETINA)["format"] == 1.0  # it was not asked for


def test_a_confidence_counts_beside_the_answer_alone():
    assert parse(rf"<think>{SURE}</think> \boxed{{2}}", "grading").confidence is None
    assert parse(rf"\boxed{{2}} {SURE} <think>a</think>", "grading", form="answer_first").confidence == 0.8
    assert parse(rf"\boxed{{2}} <think>a</think> {SURE}", "grading", form="answer_first").confidence is None


@pytest.mark.parametrize(("answer", "confidence", "brier"), [
    ("2", 1.0, 1.0), ("2", 0.8, 0.96), ("2", 0.0, 0.0), ("3", 0.0, 1.0), ("3", 0.8, 0.36), ("3", 1.0, 0.0),
    ("7", 0.0, 1.0),  # no class: a wrong answer
])  # fmt: skip
def test_rlcr_is_the_papers_formula_up_to_a_constant(answer, confidence, brier):
    """RLCR: right - (confidence - right)^2."""
    text = rf"<think>a look</think> \boxed{{{answer}}} <confidence>{confidence}</confidence>"
    scored = compute_score("d", text, "2", RETINA | {"confidence": True}, "rlcr")
    right = float(answer == "2")
    assert scored["brier"] == pytest.approx(brier)
    assert scored["score"] == pytest.approx(0.45 * (right - (confidence - right) ** 2 + 1) + 0.1)


@given(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.floats(0, 1))
def test_the_mean_reward_is_highest_for_the_true_share_of_right_answers(share: float, stated: float):
    def mean(confidence: float) -> float:
        text = rf"\boxed{{2}} <confidence>{confidence:.6f}</confidence>"
        right, wrong = (compute_score("d", text, truth, RETINA, "rlcr")["brier"] for truth in "23")
        return share * right + (1 - share) * wrong

    assert mean(stated) <= mean(share) + 1e-9


@pytest.mark.parametrize("text", [SURE, f"<think>a</think> {SURE}", rf"\boxed{{2}} \boxed{{3}} {SURE}", FIRST])
def test_brier_pays_nothing_without_an_answer_or_without_a_confidence(text):
    assert compute_score("d", text.replace("0.8", "0"), "3", RETINA, "rlcr")["brier"] == 0.0


def test_a_box_is_right_at_an_iou_of_a_half():
    half = f"<think>a</think> <answer>[100, 100, 200, 150]</answer> {SURE}"
    assert compute_score("d", half, BOX, PIXELS, "rlcr")["brier"] == pytest.approx(0.96)
    assert compute_score("d", half.replace("150]", "149]"), BOX, PIXELS, "rlcr")["brier"] == pytest.approx(0.36)


def test_the_control_measures_the_confidence_and_does_not_pay_for_it():
    low, high = (
        compute_score("d", f"{FIRST} <confidence>{number}</confidence>", "2", RETINA, "confidence")
        for number in (0.1, 0.9)
    )
    assert low["score"] == high["score"] == 1.0
    assert (low["brier"], high["brier"]) == (pytest.approx(0.19), pytest.approx(0.99))
