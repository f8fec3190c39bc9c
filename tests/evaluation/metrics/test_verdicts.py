"""Tests Holm's correction on values computed by hand, and the verdicts that follow from it."""

import pytest

from vrft_aug.evaluation.metrics.verdicts import CONTRADICTED, NOT_SUPPORTED, SUPPORTED, conjunction, holm, verdict


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 3 x .01; 2 x .03 also bounds .04; 4 x .005
        ([0.02, 0.02, 0.5], [0.06, 0.06, 0.5]),
        ([0.5, 0.9], [1, 1]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm(p, corrected):
    assert holm(p) == pytest.approx(corrected)


@pytest.mark.parametrize(
    ("difference", "corrected", "expected"),
    [(0.1, 0.049, SUPPORTED), (0.1, 0.05, NOT_SUPPORTED), (-0.1, 0.049, CONTRADICTED), (-0.1, 0.2, NOT_SUPPORTED),
     (0.0, 0.01, NOT_SUPPORTED)],
)  # fmt: skip
def test_a_verdict_needs_a_direction_and_a_corrected_p(difference, corrected, expected):
    assert verdict(difference, corrected) == expected


def test_a_claim_about_every_value_needs_all_and_falls_with_one():
    assert conjunction([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert conjunction([SUPPORTED, NOT_SUPPORTED]) == NOT_SUPPORTED
    assert conjunction([SUPPORTED, NOT_SUPPORTED, CONTRADICTED]) == CONTRADICTED
