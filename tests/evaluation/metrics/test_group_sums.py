"""Resampled sums over groups: the same distribution as the bootstrap of intervals.py."""

import numpy as np
import pytest

from vrft_aug.evaluation.metrics.group_sums import Share, divided, interval, resampled_sums
from vrft_aug.evaluation.metrics.intervals import bootstrap, estimate, weighted_means, wilson


def test_drawing_kinds_of_groups_is_drawing_groups():
    """Means, deviations and limits of a share agree with a bootstrap that draws each group by its name."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 300).astype(str)
    right = (rng.random(300) < 0.3).astype(float)
    sums = resampled_sums(np.column_stack([right, np.ones(300)]), groups, rng, 4000)
    found = interval(right.mean(), sums[:, 0] / sums[:, 1])
    other = bootstrap(weighted_means({"share": right}), groups, rng, 4000)["share"]
    assert found["value"] == other["value"]
    assert (found["low"], found["high"]) == pytest.approx((other["low"], other["high"]), abs=0.006)


def test_each_resample_draws_as_many_groups_as_there_are():
    sums = resampled_sums(np.ones((6, 1)), np.array(["a", "a", "b", "b", "c", "c"]), np.random.default_rng(0), 50)
    assert (sums == 6).all()
    uneven = resampled_sums(np.ones((4, 1)), np.array(["a", "a", "a", "b"]), np.random.default_rng(0), 400)
    assert set(uneven[:, 0]) == {2.0, 4.0, 6.0}


def test_a_share_over_groups_never_has_a_narrower_interval_than_wilsons():
    assert Share(8, 10, 10, np.full(9, 0.8)).quantity() == wilson(8, 10)
    assert Share(10, 10, 5, np.ones(9)).quantity() == wilson(10, 10)
    wide = Share(8, 10, 5, np.linspace(0, 1, 1001)).quantity()
    assert (wide["low"], wide["high"]) == pytest.approx((0.025, 0.975))


def test_what_is_undefined_has_no_interval():
    assert np.isnan(divided(np.array([0.0]), np.array([0.0]))[0])
    assert interval(0.5, np.array([np.nan])) == interval(np.nan, np.ones(3)) == estimate(None)
