"""Metrics of detection against counts by hand."""

import numpy as np
import pytest
from toy_runs import predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.detection_metrics import NAMES
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.evaluation.metrics.resampled_metrics import metric_of_weights

TWO, ONE, FAR, NONE = "[[0, 0, 10, 10], [20, 0, 30, 10]]", "[[0, 0, 10, 10]]", "[[50, 50, 60, 60]]", "[]"


def measured(truth: list[str], answers: list[str], **columns) -> dict:
    (found,) = measure(predictions(truth, answers, [], "detection", **columns), resamples=50).values()
    return found


def test_by_hand():
    found = measured([TWO, TWO, ONE, NONE, NONE, NONE, ONE], [TWO, ONE, FAR, NONE, ONE, "", ""])
    # true boxes 2 + 2 + 1 + 1, stated 2 + 1 + 1 + 1, found 2 + 1
    assert found["recall_50"]["value"] == pytest.approx(3 / 6)
    assert found["precision_50"]["value"] == pytest.approx(3 / 5)
    assert found["f1_50"]["value"] == pytest.approx(2 * 3 / (6 + 5))
    assert found["false_boxes"]["value"] == pytest.approx(2 / 7)
    assert found["none_right"]["value"] == pytest.approx(1 / 3)  # saying nothing is not saying "none"
    assert found["unparseable"]["value"] == pytest.approx(2 / 7)
    assert found["most_frequent"]["prediction"] in (NONE, ONE)
    assert "mean_iou" not in found and "votes" not in found
    for name in ("recall_50", "precision_50", "f1_50", "false_boxes"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]


def test_what_cannot_be_divided_is_null():
    found = measured([ONE, ONE], ["", ""])
    assert found["none_right"]["value"] is None and found["precision_50"]["value"] is None
    assert (found["recall_50"]["value"], found["f1_50"]["value"]) == (0.0, 0.0)


def test_images_of_one_patient_are_resampled_together():
    apart = measured([ONE] * 8, [ONE, FAR] * 4)
    together = measured([ONE] * 8, [ONE, FAR] * 4, group_id=["a", "b"] * 4)
    assert together["recall_50"]["low"] < apart["recall_50"]["low"]


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_may_be_about_each(name: str):
    rows = predictions([TWO, ONE, NONE, NONE], [TWO, FAR, NONE, ONE], [], "detection")
    (found,) = measure(rows, resamples=10).values()
    assert metric_of_weights(name, "detection", rows)(np.ones((1, 4)))[0] == pytest.approx(found[name]["value"])
    for task in ("classification", "localization"):
        with pytest.raises(InputError, match=f"{task} has no {name}"):
            metric_of_weights(name, task, rows)
