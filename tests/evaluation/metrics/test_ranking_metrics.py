"""Tests AUROC, average precision, risk and coverage against scikit-learn, cases by hand, and duplicated rows."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from vrft_aug.evaluation.metrics.ranking_metrics import (
    accuracy_at,
    area_under_risk,
    auroc,
    average_precision,
    coverage,
    roc,
    sensitivity_at,
)

ONE = np.ones((1, 4))


def drawn(ties: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of 80 images, which are positive, and weights of 12 resamples."""
    rng = np.random.default_rng(seed)
    positive = rng.random(80) < 0.3
    score = rng.random(80) + 0.4 * positive
    return score.round(1) if ties else score, positive, rng.multinomial(80, np.full(80, 1 / 80), 12).astype(float)


@pytest.mark.parametrize("ties", [False, True])
def test_every_resample_has_scikit_learns_number(ties):
    score, positive, weights = drawn(ties)
    curve = roc(score, positive)(weights)
    assert auroc(curve) == pytest.approx([sklearn.roc_auc_score(positive, score, sample_weight=w) for w in weights])
    expected = [sklearn.average_precision_score(positive, score, sample_weight=w) for w in weights]
    assert average_precision(curve) == pytest.approx(expected)
    for found, weight in zip(sensitivity_at(curve, 0.9), weights, strict=True):
        false, true, _ = sklearn.roc_curve(positive, score, sample_weight=weight, drop_intermediate=False)
        assert found == pytest.approx(true[false <= 0.1 + 1e-9].max())


@pytest.mark.parametrize("ties", [False, True])
def test_a_weight_of_two_is_the_same_image_twice(ties):
    score, positive, weights = drawn(ties)
    for weight in weights:
        twice = np.repeat(np.arange(80), weight.astype(int))
        one = np.ones((1, len(twice)))
        for metric in (auroc, average_precision, lambda curve: sensitivity_at(curve, 0.9)):
            doubled = metric(roc(score[twice], positive[twice])(one))
            assert metric(roc(score, positive)(weight[None])) == pytest.approx(doubled)
        for metric in (area_under_risk, lambda curve: accuracy_at(curve, 0.8)):
            doubled = metric(coverage(score[twice], positive[twice])(one))
            assert metric(coverage(score, positive)(weight[None])) == pytest.approx(doubled)


def test_ranking_by_hand():
    score, positive = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    curve = roc(score, positive)(ONE)
    assert auroc(curve) == pytest.approx(3 / 4)  # of four pairs, three are in order
    assert average_precision(curve) == pytest.approx((1 + 2 / 3) / 2)
    assert [sensitivity_at(curve, at)[0] for at in (1.0, 0.6, 0.5, 0.0)] == [0.5, 0.5, 1.0, 1.0]


def test_a_constant_score_tells_nothing():
    positive = np.array([True, False, False, False])
    curve = roc(np.full(4, 0.5), positive)(ONE)
    assert auroc(curve) == 0.5 and average_precision(curve) == 0.25
    assert sensitivity_at(curve, 0.9) == 0
    flat = coverage(np.full(4, 0.5), positive)(ONE)
    assert area_under_risk(flat) == 0.75 and accuracy_at(flat, 0.8) == 0.25


@pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool)])
def test_one_kind_of_image_leaves_them_undefined(positive):
    curve = roc(np.array([0.9, 0.8, 0.7, 0.1]), positive)(ONE)
    assert np.isnan([auroc(curve), average_precision(curve), sensitivity_at(curve, 0.9)]).all()


def test_a_resample_without_a_positive_image_is_undefined_and_the_others_are_not():
    weights = np.array([[0.0, 1, 1, 2], [1, 1, 1, 1]])
    curve = roc(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, False, False]))(weights)
    assert np.isnan(auroc(curve)).tolist() == [True, False] and auroc(curve)[1] == 1


def test_risk_and_coverage_by_hand():
    confidence, right = np.array([0.9, 0.8, 0.8, 0.4]), np.array([True, True, False, False])
    curve = coverage(confidence, right)(ONE)
    assert area_under_risk(curve) == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)
    assert accuracy_at(curve, 0.25) == 1 and accuracy_at(curve, 1.0) == 0.5
    assert accuracy_at(curve, 0.5) == pytest.approx((1 + 0.5) / 2)  # half of the two equal ones is covered
    assert accuracy_at(curve, 0.8) == pytest.approx(2 / 3.2)


def test_without_ties_it_is_the_mean_risk_of_the_surest_one_two_and_so_on():
    rng = np.random.default_rng(1)
    confidence, right = rng.random(50), rng.random(50) < 0.7
    wrong = ~right[np.argsort(-confidence)]
    expected = np.mean(np.cumsum(wrong) / np.arange(1, 51))
    curve = coverage(confidence, right)(np.ones((1, 50)))
    assert area_under_risk(curve) == pytest.approx(expected)
    assert accuracy_at(curve, 0.8) == pytest.approx(1 - wrong[:40].mean())
