"""Tests calibration error and Brier score by hand and on draws of known calibration."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from toy_scores import draw

from vrft_aug.evaluation.metrics.calibration import BINS, EDGES, brier, error_interval, gaps, reliability
from vrft_aug.evaluation.metrics.class_scores import Scores


def two_classes(confidence: list[float], right: list[bool]) -> Scores:
    """Images that all are of the first class where the policy is right, and it always answers the first class."""
    said = np.column_stack([confidence, 1 - np.array(confidence)])
    answers = np.zeros(len(right), int)
    return Scores(["a", "b"], said, np.where(right, 0, 1), answers, np.ones(len(right), bool))


def error(scores: Scores) -> float:
    return float(np.abs(gaps(scores.confidence, scores.right).mean(0)).sum())


def test_by_hand():
    scores = two_classes([0.95, 0.95, 0.61, 0.62], [True, False, True, True])
    assert error(scores) == pytest.approx((abs(1 - 1.9) + abs(2 - 1.23)) / 4)
    assert brier(scores) == pytest.approx([2 * 0.05**2, 2 * 0.95**2, 2 * 0.39**2, 2 * 0.38**2])
    found = reliability(scores)
    assert len(found["edges"]) == BINS + 1 and sum(found["count"]) == 4
    assert (found["count"][14], found["accuracy"][14], found["confidence"][14]) == (2, 0.5, pytest.approx(0.95))
    assert found["accuracy"][0] is None and found["accuracy"][9] == 1


def test_a_confidence_on_an_edge_is_in_the_bin_below():
    found = reliability(two_classes([0.6, 1.0, 0.601], [True] * 3))
    assert [place for place, count in enumerate(found["count"]) if count] == [8, 9, 14] and EDGES[9] == 0.6


def test_the_brier_score_and_the_plot_are_scikit_learns():
    scores = draw(np.random.default_rng(0), 500, 1.5, classes=2)
    both = brier_score_loss(scores.truth, scores.probabilities[:, 1])
    assert brier(scores).mean() == pytest.approx(2 * both)
    accuracy, confidence = calibration_curve(scores.right, scores.confidence, n_bins=BINS)
    found = reliability(scores)
    assert [value for value in found["accuracy"] if value is not None] == pytest.approx(list(accuracy))
    assert [value for value in found["confidence"] if value is not None] == pytest.approx(list(confidence))
    count = np.array(found["count"])[np.array(found["count"]) > 0]
    assert error(scores) == pytest.approx(np.average(np.abs(accuracy - confidence), weights=count))


def interval(scores: Scores, resamples: int = 400) -> dict:
    table = gaps(scores.confidence, scores.right)
    n = len(table)
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), resamples)
    return error_interval(table.mean(0), weights @ table / n)


def test_the_interval_of_a_calibrated_policy_starts_at_zero_and_that_of_another_does_not():
    calibrated, over = (interval(draw(np.random.default_rng(5), 2000, how)) for how in (1.0, 2.0))
    assert calibrated["low"] == 0 and 0 < calibrated["value"] <= calibrated["high"] < 0.05
    truth = error(draw(np.random.default_rng(6), 400_000, 2.0))
    assert 0.05 < over["low"] < truth < over["high"] and over["low"] <= over["value"] <= over["high"]


def test_a_policy_that_is_certain_and_always_right_has_no_error():
    assert interval(two_classes([1.0] * 20, [True] * 20)) == {"value": 0, "low": 0, "high": 0}


def test_one_image():
    found = interval(two_classes([0.7], [False]))
    assert found["value"] == pytest.approx(0.7) and found["low"] <= 0.7 <= found["high"]
