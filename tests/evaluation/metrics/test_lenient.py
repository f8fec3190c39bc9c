r"""What a response meant is read from other tags, JSON and sentences; where it is unclear, it is nothing."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_rows import BREAST, LESION, RETINA, think
from toy_runs import predictions

from vrft_aug.evaluation.metrics.lenient import meant
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.rewards import compute_score
from vrft_aug.rewards.term import rewards

SKIN = {"task": "classification", "classes": ["melanocytic nevi", "nevi of the eye", "melanoma", "nevi"]}
BENIGN = "normal, benign"
TABLE = [
    # --- as the rewards read it
    (BREAST, think(r"\boxed{malignant}"), "malignant"),
    (BREAST, think(r"\boxed{malignant} rather than normal, benign"), "malignant"),
    # --- another tag
    (BREAST, think("<answer>malignant</answer>"), "malignant"),
    (BREAST, think("<answer> Normal,\n Benign </answer>"), BENIGN),
    (BREAST, think("<diagnosis>malignant</diagnosis>"), "malignant"),
    (BREAST, think("<answer>malignant"), "malignant"),
    (BREAST, "<answer>malignant</answer>", "malignant"),
    (SKIN, think('<answer>[{"bbox_2d": [1, 2, 3, 4], "label": "melanoma"}]</answer>'), "melanoma"),
    (SKIN, think('```json\n{"diagnosis": "Melanoma", "because": "nevi of the eye are blue"}\n```'), "melanoma"),
    # --- a box that is not closed, or says more than the class
    (BREAST, think(r"\boxed{malignant"), "malignant"),
    (BREAST, think(r"\boxed{The lesion is malignant.}"), "malignant"),
    (BREAST, think(r"\boxed{\text{normal}, \text{benign}}"), None),
    (BREAST, think(r"\Boxed{malignant}"), "malignant"),
    (BREAST, think(r"\boxed{...} The lesion is malignant."), "malignant"),
    # --- several boxes: the last
    (BREAST, think(r"\boxed{malignant}, no: \boxed{normal, benign}"), BENIGN),
    # --- a sentence
    (BREAST, think("The lesion is malignant."), "malignant"),
    (BREAST, think("**Normal, benign**"), BENIGN),
    (BREAST, "The lesion is __malignant__", "malignant"),
    (BREAST, think("It is not malignant but normal, benign."), BENIGN),
    (BREAST, think("It is not a malignant lesion."), None),
    (BREAST, think("non-malignant"), None),
    (BREAST, think("malignantly"), None),
    (BREAST, think("malignant or normal, benign"), None),
    (BREAST, think("benign"), None),
    (SKIN, think("These are melanocytic nevi."), "melanocytic nevi"),
    (SKIN, think("nevi"), "nevi"),
    (SKIN, think("nevi of the eye"), "nevi of the eye"),
    (BREAST | {"aliases": [["cancer"], ["benign"]]}, think("It is cancer."), "malignant"),
    # --- what is stated decides, also where it is no class
    (BREAST, think(r"\boxed{benign}, and nothing malignant"), None),
    (BREAST, think("<answer>cyst</answer> malignant"), None),
    # --- the thought is no answer, unless it states one and nothing follows
    (BREAST, "<think>It may be malignant.</think>", None),
    (BREAST, "<think>It may be malignant.", None),
    (BREAST, "<think>It may be malignant.</think> It is normal, benign.", BENIGN),
    (BREAST, r"<think>It is \boxed{malignant}", "malignant"),
    (BREAST, r"<think>First \boxed{malignant}</think> It is normal, benign.", BENIGN),
    # --- grades
    (RETINA, think("<answer>2</answer>"), "2"),
    (RETINA, think("2"), "2"),
    (RETINA, think("**2**."), "2"),
    (RETINA, think(r"\boxed{grade 2}"), "2"),
    (RETINA, think(r"\boxed{2.0}"), "2"),
    (RETINA, think(r"\boxed{2.5}"), None),
    (RETINA, think(r"\boxed{-1}"), None),
    (RETINA, think(r"\boxed{7}"), None),
    (RETINA, think(r"\boxed{1-3}"), None),
    (RETINA, think("The grade is 2, with 20 microaneurysms and 1 haemorrhage."), "2"),
    (RETINA, think("Severity: 3"), "3"),
    (RETINA, think('{"grade": 3}'), "3"),
    (RETINA, think("I count 3 microaneurysms."), None),
    (RETINA, think("grade 1 or grade 2"), None),
    (RETINA, think("a grade of 0-4"), None),
    (RETINA, think("<answer>[10, 20, 300, 3]</answer>"), None),
    (RETINA, think("grade ２"), None),
    # --- nothing
    (BREAST, "", None),
    (BREAST, "\\boxed", None),
    (BREAST, think("<answer></answer>"), None),
    (LESION, think("<answer>lesion</answer>"), None),
]


@pytest.mark.parametrize("row, response, expected", TABLE, ids=[f"{one[1][-40:]!r}" for one in TABLE])
def test_what_a_response_meant(row: dict, response: str, expected: str | None):
    assert meant(response, row) == expected


def test_it_is_not_a_reward():
    assert "lenient" not in rewards()
    assert compute_score("d", think("<answer>malignant</answer>"), "malignant", BREAST)["score"] == 0.0


PIECES = ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "}", "{", '": "', '"', "not ", "grade ", "2",
          "0-4", "malignant", "normal, benign", " ", "-", "\ud800", "İ"]  # fmt: skip
responses = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=40)), max_size=12).map("".join)


@settings(deadline=None, max_examples=300)
@given(responses, st.sampled_from([(BREAST, "malignant"), (RETINA, "2")]))
def test_it_never_raises_names_a_class_and_keeps_what_the_rewards_accept(response: str, row_and_truth: tuple):
    row, truth = row_and_truth
    found, scored = meant(response, row), compute_score("d", response, truth, row)
    assert found is None or found in row["classes"]
    if not scored["rejected"]:
        assert found == scored["prediction"]


UNITS = ["{", "{}", "\\boxed{", "\\boxed{a}", "<think>", "</think>", "<answer>", "[", "1", "1 ", " ", '"', '":"',
         '" : "', '":1', "grade ", "grade", "not ", "malignant ", "malignant", "-", "_", "a b ", "1-"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("opening", ["", "<think>x</think>\\boxed{", "<think>x</think><answer>"])
def test_a_megabyte_takes_less_than_two_seconds(unit: str, opening: str):
    for row in (BREAST, RETINA):
        start = time.process_time()
        meant(opening + unit * (1_000_000 // len(unit)), row)
        assert time.process_time() - start < 2.0


def table(responses: list[str], truth: list[str], row: dict):
    scored = [compute_score("d", text, label, row) for text, label in zip(responses, truth, strict=True)]
    columns = {key: [one[key] for one in scored] for key in ("prediction", "rejected", "acc")}
    return predictions(truth, columns.pop("prediction"), row["classes"], row["task"], response=responses, **columns)


def test_lenient_accuracy_counts_what_was_meant_once_beside_the_strict_one():
    responses = [think(r"\boxed{malignant}"), think("<answer>malignant</answer>"), think("It is malignant."),
                 think(r"\boxed{normal, benign} malignant"), think("I cannot say.")]  # fmt: skip
    (found,) = measure(table(responses, ["malignant"] * 5, BREAST), resamples=30).values()
    assert found["accuracy"]["value"] == 1 / 5
    lenient = found["lenient_accuracy"]
    assert lenient["value"] == 3 / 5 and lenient["low"] < 3 / 5 < lenient["high"]
    assert found["unparseable"]["value"] == 3 / 5  # the strict view of the same answers
    assert found["confusion"]["counts"][0] == [1, 1, 3]


def test_lenient_accuracy_equals_the_strict_one_where_every_answer_is_readable():
    rows = predictions(["0", "1", "2"], ["0", "2", "2"])
    (found,) = measure(rows, resamples=30).values()
    assert found["lenient_accuracy"] == found["accuracy"]


def test_lenient_accuracy_takes_the_voted_answer():
    responses = [think("The grade is 2."), think(r"\boxed{1}")]
    rows = table(responses, ["2", "2"], RETINA).assign(source_id="a", group_id="a", sample=[0, 1])
    (found,) = measure(rows.assign(vote=[False, True]), resamples=30).values()
    assert (found["n"], found["lenient_accuracy"]["value"]) == (1, 0.0)
    (found,) = measure(rows.assign(vote=[True, False]), resamples=30).values()
    assert (found["n"], found["accuracy"]["value"], found["lenient_accuracy"]["value"]) == (1, 0.0, 1.0)


def test_without_responses_it_is_null_and_boxes_have_none():
    (found,) = measure(predictions(["0"], ["0"]).drop(columns="response"), resamples=30).values()
    assert found["lenient_accuracy"] is None
    boxes = predictions(["[0, 0, 9, 9]"], ["[0, 0, 9, 9]"], [], "localization", acc=[1.0])
    (found,) = measure(boxes, resamples=30).values()
    assert "lenient_accuracy" not in found
