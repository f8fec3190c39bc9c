"""Tests intervals against published numbers and numbers computed by hand."""

import numpy as np
import pytest
from toy_runs import predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import bootstrap, mcnemar, merged, weighted_means, wilson


@pytest.mark.parametrize(
    ("hits", "n", "half_width"),
    [(114, 156, 7.0), (516, 624, 2.9), (184, 256, 5.5), (241, 400, 4.8), (102, 512, 3.5), (46, 153, 7.3)],
)
def test_wilson_half_widths_of_the_papers_test_sets(hits: int, n: int, half_width: float):
    interval = wilson(hits, n)
    assert 50 * (interval["high"] - interval["low"]) == pytest.approx(half_width, abs=0.15)
    assert interval["low"] < interval["value"] < interval["high"]


def test_wilson_stays_inside_zero_and_one():
    assert wilson(0, 10)["low"] == pytest.approx(0)
    assert 0.2 < wilson(0, 10)["high"] < 0.35
    assert wilson(10, 10)["high"] == pytest.approx(1)


def _mean(values):
    return merged([weighted_means({"mean": values}), lambda weights: {"never": np.full(len(weights), np.nan)}])


def test_bootstrap_of_a_mean_has_the_width_of_its_standard_error():
    values = np.random.default_rng(1).normal(size=400)
    interval = bootstrap(_mean(values), np.arange(400), np.random.default_rng(0), 2000)["mean"]
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_bootstrap_resamples_groups_not_rows():
    patients = np.random.default_rng(1).normal(size=50)
    values, groups = np.repeat(patients, 8), np.repeat([f"p{n}" for n in range(50)], 8)
    alone = bootstrap(_mean(values), np.arange(400), np.random.default_rng(0), 1000)["mean"]
    grouped = bootstrap(_mean(values), groups, np.random.default_rng(0), 1000)["mean"]
    ratio = (grouped["high"] - grouped["low"]) / (alone["high"] - alone["low"])
    assert ratio == pytest.approx(8**0.5, rel=0.15)  # eight copies give no more information than one


def test_bootstrap_depends_on_its_seed_and_gives_null_for_the_undefined():
    values = np.arange(20.0)
    first, again, other = (bootstrap(_mean(values), np.arange(20), np.random.default_rng(s), 100) for s in (0, 0, 1))
    assert first == again != other
    assert first["never"] == {"value": None, "low": None, "high": None}


def _runs():
    truth = ["0"] * 20
    a = predictions(truth, ["0"] * 5 + ["1"] * 15)
    b = predictions(truth, ["1"] * 1 + ["0"] * 14 + ["1"] * 5)
    return a, b


def test_mcnemar_counts_discordant_images_whatever_their_order():
    a, b = _runs()
    test = mcnemar(a, b.sample(frac=1, random_state=3))
    assert (test["n"], test["only_a"], test["only_b"]) == (20, 1, 10)
    assert test["p"] == pytest.approx(2 * (1 + 11) / 2**11)  # both tails of binomial(11, 1/2) up to 1


def test_mcnemar_of_a_run_with_itself_is_one():
    a, _ = _runs()
    assert mcnemar(a, a)["p"] == 1.0


def test_mcnemar_refuses_different_images_and_repeated_ones():
    a, b = _runs()
    with pytest.raises(InputError, match="1 are in only one run, for example image_19"):
        mcnemar(a, b.iloc[:19])
    with pytest.raises(InputError, match="image_0 occurs twice in the second run"):
        mcnemar(a, b.assign(source_id=["image_0"] * 2 + list(b["source_id"][2:])))
