"""Tests metrics by name for claims: each is the one of `measure`, and what is missing is said."""

import numpy as np
import pytest
from toy_runs import predictions
from toy_scores import draw, scored

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.evaluation.metrics.resampled_metrics import LOWER_IS_BETTER, OF_PROBABILITIES, metric_of_weights


def rows(n: int = 80):
    return scored(draw(np.random.default_rng(0), n))


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_it_is_the_metric_of_measure(name):
    (found,) = measure(rows(), resamples=10, disease=["c2"]).values()
    metric = metric_of_weights(name, "classification", rows(), ["c2"])
    assert metric(np.ones((1, 80)))[0] == pytest.approx(found["probabilities"][name]["value"])
    twice = rows().iloc[np.r_[0:40, 0:40]].reset_index(drop=True)
    again = metric_of_weights(name, "classification", twice, ["c2"])(np.ones((1, 80)))
    assert metric(np.repeat([2.0, 0.0], 40)[None]) == pytest.approx(again)


def test_boxes_have_their_mean_iou():
    truth, half = "[0, 0, 10, 10]", "[0, 0, 10, 5]"
    boxes = predictions([truth] * 4, [truth, half, half, ""], [], "localization")
    (found,) = measure(boxes, resamples=10).values()
    metric = metric_of_weights("mean_iou", "localization", boxes)
    assert metric(np.ones((1, 4)))[0] == pytest.approx(found["mean_iou"]["value"]) == pytest.approx(0.5)
    assert metric(np.array([[2.0, 0, 0, 1], [0, 1, 1, 0]])) == pytest.approx([2 / 3, 0.5])
    for name, task in (("mean_iou", "grading"), ("quadratic_kappa", "localization")):
        with pytest.raises(InputError, match=f"{task} has no {name}"):
            metric_of_weights(name, task, boxes)


def test_errors_are_lower_is_better():
    good, bad = (draw(np.random.default_rng(0), 400, how) for how in (1.0, 4.0))
    for name in set(LOWER_IS_BETTER) & {"brier", "calibration_error"}:
        values = [metric_of_weights(name, "classification", scored(one))(np.ones((1, 400)))[0] for one in (good, bad)]
        assert values[0] < values[1]


def test_what_is_missing_is_said():
    some = rows().assign(probabilities=[None, *rows()["probabilities"][1:]])
    none = rows().drop(columns="probabilities")
    for wrong, message in ((none, "no class probabilities; evaluate with"), (some, "some of the images only")):
        with pytest.raises(InputError, match=message):
            metric_of_weights("auroc", "classification", wrong)
    with pytest.raises(InputError, match="needs classes of disease: add `disease`"):
        metric_of_weights("sensitivity_at_90_specificity", "classification", rows())
    with pytest.raises(InputError, match="localization has no auroc"):
        metric_of_weights("auroc", "localization", rows())
