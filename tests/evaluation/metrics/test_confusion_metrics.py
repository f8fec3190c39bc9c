"""Tests the metrics of many resamples against scikit-learn's with the resample's weights."""

import numpy as np
import pytest
from sklearn import metrics as sklearn
from toy_runs import GRADES, predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.class_metrics import class_metrics, matched_answers
from vrft_aug.evaluation.metrics.confusion_metrics import METRICS
from vrft_aug.evaluation.metrics.resampled_metrics import metric_of_weights


def by_scikit_learn(truth: np.ndarray, answers: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """The metrics of grades 0 to 4; answer 5 is unparseable."""
    here = weight > 0
    truth, answers, weight = truth[here], answers[here], weight[here]
    counted = {"sample_weight": weight, "labels": range(5), "zero_division": np.nan, "average": None}
    occurs = np.isin(np.arange(5), truth)
    given = np.where(answers < 5, answers, np.where(truth >= 2, 0, 4))
    parsed = answers < 5
    kappa = np.nan
    if len(set(truth) | set(given)) > 1:
        kappa = sklearn.cohen_kappa_score(truth, given, weights="quadratic", sample_weight=weight, labels=range(5))
    recall = sklearn.recall_score(truth, answers, **counted)
    shares = [np.bincount(one, weight, 6)[:5] / weight.sum() for one in (truth, answers)]
    error = {"parsed_mean_absolute_error": np.nan}
    if parsed.any():
        error = {"parsed_mean_absolute_error": np.average(np.abs(truth - answers)[parsed], weights=weight[parsed])}
    return error | {
        "chance": shares[0] @ shares[1],
        "balanced_accuracy": recall[occurs].mean(),
        "worst_recall": recall[occurs].min(),
        "macro_f1": sklearn.f1_score(truth, answers, **counted)[occurs].mean(),
        "quadratic_kappa": kappa,
        "mean_absolute_error": np.average(np.abs(truth - given), weights=weight),
        **{f"recall/{grade}": value for grade, value in enumerate(recall)},
    }


def test_every_resample_has_scikit_learns_metrics():
    rng = np.random.default_rng(3)
    rows = predictions(rng.choice(GRADES[:4], 60), rng.choice([*GRADES, ""], 60))  # grade 4 never occurs
    answers = matched_answers(rows, GRADES)
    weights = np.r_[rng.integers(0, 3, (20, 60)), [rows["ground_truth"] == "0"], [answers == ""]].astype(float)
    found = class_metrics("grading", GRADES, rows["ground_truth"], answers)[1](weights)
    truth, given = rows["ground_truth"].to_numpy(int), answers.replace("", "5").to_numpy(int)
    expected = [by_scikit_learn(truth, given, weight) for weight in weights]
    assert set(found) == set(expected[0]) and set(METRICS) < set(found)
    for name, values in found.items():
        assert values == pytest.approx([one[name] for one in expected], nan_ok=True), name
    for name in METRICS:
        assert np.array_equal(metric_of_weights(name, "grading", rows)(weights), found[name], equal_nan=True)


def test_kappa_is_undefined_where_one_grade_is_all_there_is():
    rows = predictions(["0"] * 3 + ["1"], ["0"] * 3 + ["1"])
    found = metric_of_weights("quadratic_kappa", "grading", rows)(np.array([[1.0, 1, 1, 0], [1, 1, 1, 1]]))
    assert np.isnan(found[0]) and found[1] == 1


def test_classes_have_no_kappa():
    rows = predictions(["a", "b"], ["a", "a"], ["a", "b"], "classification")
    with pytest.raises(InputError, match="classification has no quadratic_kappa"):
        metric_of_weights("quadratic_kappa", "classification", rows)
    assert metric_of_weights("balanced_accuracy", "classification", rows)(np.ones((1, 2))) == 0.5
