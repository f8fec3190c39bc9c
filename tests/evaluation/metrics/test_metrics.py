"""Tests metrics against scikit-learn, against the paper's constant predictors, and on degenerate sets."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn
from toy_runs import GRADES, predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.evaluation.metrics.measure import measure


@pytest.fixture(scope="module")
def grading() -> tuple[pd.DataFrame, dict]:
    """200 images; half of the answers are right, ten are unparseable."""
    rng = np.random.default_rng(0)
    truth = rng.choice(GRADES, 200, p=[0.4, 0.1, 0.2, 0.2, 0.1])
    answers = np.where(rng.random(200) < 0.5, truth, rng.choice(GRADES, 200)).astype(object)
    answers[:10] = ""
    rows = predictions(truth, answers)
    return rows, measure(rows, resamples=200)["toy/grading"]


def _one(rows: pd.DataFrame, **options) -> dict:
    """Metrics of a table with one data set; checks that they are JSON without NaN."""
    (metrics,) = measure(rows, **{"resamples": 30} | options).values()
    return json.loads(json.dumps(metrics, allow_nan=False))


def test_point_values_are_scikit_learns(grading):
    rows, found = grading
    truth, answers = rows["ground_truth"], rows["prediction"]
    assert found["n"] == 200
    assert found["accuracy"]["value"] == sklearn.accuracy_score(truth, answers)
    recalls = sklearn.recall_score(truth, answers, labels=GRADES, average=None)
    assert [found["recall"][grade]["value"] for grade in GRADES] == pytest.approx(list(recalls))
    assert found["balanced_accuracy"]["value"] == pytest.approx(recalls.mean())
    f1 = sklearn.f1_score(truth, answers, labels=GRADES, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(f1)
    assert np.array(found["confusion"]["counts"])[:, -1].sum() == 10
    assert np.trace(np.array(found["confusion"]["counts"])[:, :5]) == rows["acc"].sum()


def test_unparseable_grade_counts_as_the_farthest(grading):
    rows, found = grading
    truth = rows["ground_truth"].astype(int)
    given = [int(a) if a else (0 if t >= 2 else 4) for a, t in zip(rows["prediction"], truth, strict=True)]
    assert found["mean_absolute_error"]["value"] == pytest.approx(sklearn.mean_absolute_error(truth, given))
    kappa = sklearn.cohen_kappa_score(truth, given, weights="quadratic", labels=range(5))
    assert found["quadratic_kappa"]["value"] == pytest.approx(kappa)
    assert found["parsed_mean_absolute_error"]["value"] < found["mean_absolute_error"]["value"]
    assert found["unparseable"]["value"] == 0.05
    assert found["rejected"] == {"no answer": 10}


def test_every_interval_holds_its_value(grading):
    found = grading[1]
    quantities = [q for q in found.values() if isinstance(q, dict) and "low" in q] + list(found["recall"].values())
    assert len(quantities) >= 14
    assert all(q["low"] <= q["value"] <= q["high"] for q in quantities)


def test_the_papers_constant_predictor_is_recognised():
    truth = ["malignant"] * 42 + ["normal, benign"] * 114
    found = _one(predictions(truth, ["normal, benign"] * 156, ["malignant", "normal, benign"], "classification"))
    assert found["accuracy"]["value"] == found["majority"]["value"] == 114 / 156
    assert found["majority"]["class"] == "normal, benign"
    assert found["balanced_accuracy"]["value"] == 0.5
    assert found["most_frequent"] == {"prediction": "normal, benign", "share": {"value": 1, "low": 1, "high": 1}}
    assert found["recall"]["malignant"]["value"] == 0


def test_constant_grade_has_kappa_zero():
    truth = np.repeat(GRADES, [174, 46, 92, 68, 20])
    assert _one(predictions(truth, ["0"] * 400))["quadratic_kappa"]["value"] == pytest.approx(0)


def test_shuffled_answers_reach_chance_level():
    rng = np.random.default_rng(0)
    truth = rng.choice(["a", "b"], 2000, p=[0.8, 0.2])
    answers = rng.permutation(truth)
    found = _one(predictions(truth, answers, ["a", "b"], "classification"))
    assert found["chance"]["value"] == pytest.approx(0.68, abs=0.02)
    assert found["accuracy"]["low"] < found["chance"]["value"] < found["accuracy"]["high"]


@pytest.mark.parametrize("task", ["classification", "grading"])
def test_all_unparseable(task: str):
    found = _one(predictions(["0", "1", "1"], ["", "", ""], ["0", "1"], task))
    assert found["accuracy"]["value"] == found["balanced_accuracy"]["value"] == found["macro_f1"]["value"] == 0
    assert found["unparseable"]["value"] == 1
    assert found["most_frequent"] == {"prediction": None, "share": {"value": 0, "low": 0, "high": 0}}
    if task == "grading":
        assert found["mean_absolute_error"]["value"] == 1
        assert found["parsed_mean_absolute_error"]["value"] is None


def test_one_class_in_the_test_set_leaves_kappa_undefined():
    found = _one(predictions(["2", "2"], ["2", "2"]))
    assert found["accuracy"]["value"] == found["balanced_accuracy"]["value"] == 1
    assert found["quadratic_kappa"] == {"value": None, "low": None, "high": None}
    assert found["recall"]["0"]["value"] is None


def test_the_thoughts_of_images_without_findings_do_not_count():
    rows = predictions(["1"] * 4, ["1", "0", "1", "0"])
    for unknown in (rows, rows.assign(thought_right=None), rows.assign(thought_right=np.nan)):
        assert "thought_accuracy" not in _one(unknown)
    found = _one(rows.assign(thought_right=[1.0, 1.0, 0.0, np.nan]))
    assert found["thought_accuracy"] == wilson(2, 3)
    assert {key: value for key, value in found.items() if key != "thought_accuracy"} == _one(rows)


def test_one_image():
    assert _one(predictions(["2"], ["1"]))["accuracy"]["value"] == 0


def test_an_answer_that_is_no_class_is_rejected_and_never_most_frequent():
    rows = predictions(["a", "b", "b"], ["a", "hen", "hen"], ["a", "b"], "classification")
    rows["rejected"] = ["", "not a class", "not a class"]
    found = _one(rows)
    assert found["rejected"] == {"not a class": 2}
    assert found["unparseable"]["value"] == pytest.approx(2 / 3)
    assert found["most_frequent"]["prediction"] == "a"


def test_case_and_accepted_aliases_are_their_class():
    rows = predictions(
        ["Nevus", "Nevus", "Melanoma"], ["nevus", "mole", "nevus"], ["Nevus", "Melanoma"], "classification"
    )
    rows["acc"] = [1.0, 1.0, 0.0]
    assert _one(rows)["confusion"]["counts"] == [[2, 0, 0], [1, 0, 0]]


def test_class_order_is_the_prompts_unless_prompts_differ():
    rows = predictions(["b", "a"], ["b", "a"], ["b", "a"], "classification")
    assert _one(rows)["confusion"]["classes"] == ["b", "a"]
    rows["classes"] = [["b", "a"], ["a", "b"]]
    assert _one(rows)["confusion"]["classes"] == ["a", "b"]


def test_boxes_are_measured_by_their_overlap():
    truth = ["[0, 0, 10, 10]"] * 4
    boxes = ["[0, 0, 10, 10]", "[0, 0, 10, 5]", "[20, 20, 30, 30]", ""]
    found = _one(predictions(truth, boxes, [], "localization", acc=[1.0, 1.0, 0.0, 0.0]))
    assert found["mean_iou"]["value"] == pytest.approx(1.5 / 4)
    assert found["recall_50"]["value"] == found["accuracy"]["value"] == 0.5
    assert found["unparseable"]["value"] == 0.25
    assert "majority" not in found


def test_a_box_without_area_has_no_overlap():
    found = _one(predictions(["[0, 0, 10, 10]"], ["[5, 5, 5, 5]"], [], "localization", acc=[0.0]))
    assert found["mean_iou"]["value"] == 0


def test_data_sources_and_tasks_are_separate_and_the_order_of_rows_does_not_matter():
    rows = pd.concat([predictions(["0"], ["0"]), predictions(["1"], ["0"], ["0", "1"], "classification")])
    found = measure(rows, resamples=10)
    assert list(found) == ["toy/classification", "toy/grading"]
    assert found["toy/grading"]["accuracy"]["value"] == 1
    assert measure(rows.iloc[::-1], resamples=10)["toy/grading"]["accuracy"] == found["toy/grading"]["accuracy"]


def test_images_of_one_patient_widen_the_interval():
    truth, answers = ["0", "1"] * 100, (["0", "1"] * 10 + ["1", "0"] * 10) * 5
    alone = _one(predictions(truth, answers), resamples=200)
    grouped = _one(predictions(truth, answers, group_id=[f"p{n // 20}" for n in range(200)]), resamples=200)
    assert alone["accuracy_grouped"] is None
    width = {key: grouped[key]["high"] - grouped[key]["low"] for key in ("accuracy", "accuracy_grouped")}
    assert (grouped["groups"], grouped["n"]) == (10, 200)
    assert width["accuracy_grouped"] > 2 * width["accuracy"]


def test_parts_of_the_objective_are_means_over_the_rows_that_have_them():
    rows = predictions(["0", "1"], ["0", "2"], mfrs=[1.0, 0.25], recitation=[None, 0.5], absent=[np.nan, np.nan])
    assert _one(rows)["parts"] == {"score": 0.5, "format": 1.0, "mfrs": 0.625, "recitation": 0.5}
    assert _one(rows)["response_length"] == 12


def test_same_seed_same_numbers(grading):
    rows = grading[0]
    assert measure(rows, resamples=20) == measure(rows, resamples=20) != measure(rows, seed=1, resamples=20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ground_truth": ["9", "1"]}, "image_0: ground truth '9' is not one of "),
        ({"acc": [0.0, 0.0]}, "image_0: prediction '0' is the ground truth, but acc is 0"),
        ({"acc": [0.5, 0.0]}, "acc must be 0 or 1"),
        ({"classes": [["mild"], ["mild"]]}, "grading needs integer classes"),
    ],
)
def test_contradictory_rows_are_refused(change: dict, message: str):
    with pytest.raises(InputError, match=message):
        measure(predictions(["0", "1"], ["0", "2"]).assign(**change))


def test_missing_columns_and_empty_tables_are_refused():
    rows = predictions(["0"], ["0"])
    with pytest.raises(InputError, match="lack the columns rejected, acc"):
        measure(rows.drop(columns=["acc", "rejected"]))
    with pytest.raises(InputError, match="have no rows"):
        measure(rows.iloc[:0])
