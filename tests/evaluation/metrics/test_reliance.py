"""Tests what other images and prompts do to an accuracy, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import bootstrap, weighted_means
from vrft_aug.evaluation.metrics.reliance import reliance


def table(right: str, groups: str = "") -> pd.DataFrame:
    """One row per letter: 1 right, 0 wrong."""
    names = [f"image_{position}" for position in range(len(right))]
    return pd.DataFrame({"source_id": names, "group_id": list(groups) or names, "acc": list(map(float, right))})


REAL = table("1111111100")


def test_differences_and_what_is_kept():
    others = {"blank": table("0000000011"), "blur_1": table("1111110000"), "blur_2": table("1100000000")}
    found = reliance(REAL, others, ["blur_1", "blur_2", "blur_3"])
    assert {name: one["value"] for name, one in found.differences.items()} == {
        "blank": pytest.approx(-0.6), "blur_1": pytest.approx(-0.2), "blur_2": pytest.approx(-0.6)
    }  # fmt: skip
    assert found.degraded == 2
    assert found.kept["value"] == pytest.approx((0.6 + 0.2) / 2 / 0.8)
    assert all(one["low"] <= one["value"] <= one["high"] for one in (*found.differences.values(), found.kept))


def test_an_unchanged_run_keeps_everything_with_certainty():
    found = reliance(REAL, {"blur_1": REAL.iloc[::-1]}, ["blur_1"])  # in another order
    assert found.differences["blur_1"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found.kept == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_the_interval_is_paired_and_over_groups():
    """Two runs that are wrong on the same images differ by nothing, however uncertain each accuracy is; and one group
    that loses all its images is one loss, not ten."""
    real, other = table("1" * 20, "a" * 10 + "b" * 10), table("1" * 10 + "0" * 10, "a" * 10 + "b" * 10)
    found = reliance(real, {"blank": other}, []).differences["blank"]
    assert (found["value"], found["low"], found["high"]) == (-0.5, -1.0, 0.0)
    alone = reliance(table("1" * 20), {"blank": table("1" * 10 + "0" * 10)}, []).differences["blank"]
    assert -0.75 < alone["low"] < -0.65 and -0.35 < alone["high"] < -0.25


def test_the_interval_is_the_bootstrap_of_the_images_differences():
    rng = np.random.default_rng(1)
    real, other = (table("".join(map(str, rng.integers(0, 2, 60)))) for _ in range(2))
    difference = other["acc"].to_numpy() - real["acc"].to_numpy()
    groups = real["group_id"].to_numpy()
    expected = bootstrap(weighted_means({"mean": difference}), groups, np.random.default_rng(0), 1000)["mean"]
    found = reliance(real, {"blank": other}, []).differences["blank"]
    assert found == pytest.approx(expected)


def test_nothing_right_keeps_nothing_that_can_be_stated():
    found = reliance(table("0000"), {"blur_1": table("1000")}, ["blur_1"])
    assert found.kept == {"value": None, "low": None, "high": None} and found.differences["blur_1"]["value"] == 0.25


def test_without_conditions_there_is_nothing():
    assert reliance(REAL, {}, ["blur_1"]) == ({}, None, 0)


def test_other_images_are_refused():
    with pytest.raises(InputError, match="not of the same test images"):
        reliance(REAL, {"blank": table("111")}, [])
