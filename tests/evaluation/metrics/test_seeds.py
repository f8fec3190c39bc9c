"""Tests the bootstrap over seeds and images: against one factor alone, a known variance, and how often it is wrong."""

import numpy as np
import pytest
from toy_runs import predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import bootstrap, weighted_means
from vrft_aug.evaluation.metrics.resampled_metrics import metric_of_weights
from vrft_aug.evaluation.metrics.seeds import Replicates, aligned, crossed, mean_of, spread


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def planted(seeds: int, images: int, by_seed: float, by_image: float, by_both: float, seed: int = 1) -> np.ndarray:
    """Numbers per image and seed, with these standard deviations of the parts; their mean is 0."""
    random = rng(seed)
    parts = random.normal(0, by_seed, seeds), random.normal(0, by_image, (images, 1))
    return parts[0] + parts[1] + random.normal(0, by_both, (images, seeds))


def test_with_one_seed_it_is_the_bootstrap_over_groups():
    values, groups = rng(1).normal(size=120), np.repeat(np.arange(40), 3)
    alone = bootstrap(weighted_means({"mean": values}), groups, rng(), 500)["mean"]
    found = crossed(mean_of(values[:, None]), groups, rng(), 500).interval()
    assert found == pytest.approx(alone, abs=1e-12)


def test_its_variance_is_the_one_in_the_docstring():
    seeds, images = 8, 300
    columns = planted(seeds, images, 0.05, 0.4, 0.3)
    rows, means = columns.mean(1, keepdims=True), columns.mean(0, keepdims=True)
    both = (columns - rows - means + columns.mean()).var() / seeds / images
    expected = means.var() / seeds + rows.var() / images + both  # of the sample; the third term is counted again
    found = crossed(mean_of(columns), np.arange(images), rng(), 8000).resampled.var()
    assert found == pytest.approx(expected, rel=0.06)
    only_images = crossed(mean_of(rows), np.arange(images), rng(), 8000).resampled.var()
    assert found > 1.15 * only_images


def test_the_truth_is_in_the_interval_as_often_as_it_says():
    inside = 0
    for trial in range(200):
        columns = planted(10, 100, 0.1, 0.5, 0.5, seed=trial)
        limits = crossed(mean_of(columns), np.arange(100), rng(trial), 300).interval()
        inside += limits["low"] <= 0 <= limits["high"]
    assert 0.91 <= inside / 200 <= 0.995


def test_images_of_a_group_are_drawn_together():
    columns = np.repeat(planted(3, 50, 0, 1, 0), 6, axis=0)
    grouped, apart = (crossed(mean_of(columns), groups, rng()).interval()
                      for groups in (np.repeat(np.arange(50), 6), np.arange(300)))  # fmt: skip
    ratio = (grouped["high"] - grouped["low"]) / (apart["high"] - apart["low"])
    assert ratio == pytest.approx(6**0.5, rel=0.15)


def test_seeds_that_differ_widen_the_interval():
    columns = planted(3, 200, 0, 0.3, 0.3)
    columns -= columns.mean(0)
    same, other = (spread(one, np.arange(200), rng()) for one in (columns, columns + np.array([-0.2, 0, 0.2])))
    assert other.values == pytest.approx((-0.2, 0, 0.2))
    assert [one.deviation for one in (same, other)] == pytest.approx([0, 0.2])
    assert other.mean["high"] - other.mean["low"] > 2 * (same.mean["high"] - same.mean["low"])


def test_p_agrees_with_the_interval():
    resampled = np.r_[np.full(30, -0.1), np.full(1969, 0.1)]
    assert Replicates(0.1, resampled).p() == pytest.approx(2 * 31 / 2000)
    assert Replicates(-0.1, -resampled).p() == pytest.approx(2 * 31 / 2000)
    assert Replicates(0.0, np.zeros(1999)).p() == 1
    assert Replicates(0.1, np.full(1999, 0.1)).p() == pytest.approx(0.001)
    assert Replicates(0.1, np.r_[resampled, np.nan]).p() == pytest.approx(2 * 31 / 2000)


def test_a_metric_that_is_no_mean_is_computed_in_each_resample():
    truth = ["0"] * 60 + ["1"] * 20
    runs = [predictions(truth, answers, ["0", "1"]) for answers in (["0"] * 80, truth)]
    metrics = [metric_of_weights("balanced_accuracy", "grading", run) for run in runs]
    found = crossed(lambda weights: np.column_stack([one(weights) for one in metrics]), np.arange(80), rng(), 50)
    assert found.value == pytest.approx((0.5 + 1) / 2)
    assert set(np.round(found.resampled, 9)) == {0.5, 0.75, 1.0}  # the draws of two seeds; the images do not matter


def test_runs_are_aligned_by_image_and_other_images_are_refused():
    run = predictions(["0", "1", "2"], ["0", "1", "1"])
    first, second = aligned([run, run[::-1]])
    assert list(first["source_id"]) == list(second["source_id"]) and list(second["acc"]) == [1, 1, 0]
    with pytest.raises(InputError, match="not of the same test images"):
        aligned([run, run[:2]])
    with pytest.raises(InputError, match="image image_0 occurs twice"):
        aligned([run, run.assign(source_id="image_0")])
