"""Tests the metrics of many resamples against those of one."""

import numpy as np
import pytest
from toy_runs import GRADES, predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.class_metrics import class_metrics, matched_answers
from vrft_aug.evaluation.metrics.confusion_metrics import METRICS, metric_of_weights


@pytest.mark.parametrize("name", METRICS)
def test_a_resample_has_the_metric_of_class_metrics(name):
    rng = np.random.default_rng(3)
    rows = predictions(rng.choice(GRADES[:4], 60), rng.choice([*GRADES, ""], 60))  # grade 4 never occurs
    statistic = class_metrics("grading", GRADES, rows["ground_truth"], matched_answers(rows, GRADES))[1]
    weights = np.r_[rng.integers(0, 3, (20, 60)), [rows["ground_truth"] == "0"]].astype(float)
    expected = [statistic(weight)[name] for weight in weights]
    assert metric_of_weights(name, "grading", rows)(weights) == pytest.approx(expected, nan_ok=True)


def test_kappa_is_undefined_where_one_grade_is_all_there_is():
    rows = predictions(["0"] * 3 + ["1"], ["0"] * 3 + ["1"])
    found = metric_of_weights("quadratic_kappa", "grading", rows)(np.array([[1.0, 1, 1, 0], [1, 1, 1, 1]]))
    assert np.isnan(found[0]) and found[1] == 1


def test_classes_have_no_kappa():
    rows = predictions(["a", "b"], ["a", "a"], ["a", "b"], "classification")
    with pytest.raises(InputError, match="classification has no quadratic_kappa"):
        metric_of_weights("quadratic_kappa", "classification", rows)
    assert metric_of_weights("balanced_accuracy", "classification", rows)(np.ones((1, 2))) == 0.5
