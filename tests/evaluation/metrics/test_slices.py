"""Accuracy per slice: against counts by hand, scipy's tests, and simulations where the truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from toy_runs import predictions

from vrft_aug.evaluation.metrics import slices
from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.evaluation.metrics.measure import measure


def rows(right, label, groups=None):
    """A table with these right (1) and wrong (0) answers, in the slices `label`."""
    answers = ["1" if one else "0" for one in right]
    table = predictions(["1"] * len(right), answers, slice_site=list(label))
    return table if groups is None else table.assign(group_id=list(groups))


def measured(table, resamples=300):
    return slices.slice_metrics(table, np.random.default_rng(0), resamples)["slices"]["site"]


def drawn(rng, accuracy, sizes, images_per_group=1):
    """right, label and group of images of several slices, where all images of a group are right or wrong together."""
    label = np.repeat(np.arange(len(sizes)), sizes)
    right = (rng.random(len(label)) < np.asarray(accuracy)[label]).astype(float)
    return [np.repeat(one, images_per_group) for one in (right, label, np.arange(len(label)))]


def test_counts_intervals_worst_and_gap_by_hand():
    label = ["a"] * 20 + ["b"] * 40 + ["c"] * 5 + [""] * 3
    right = [1] * 18 + [0] * 2 + [1] * 20 + [0] * 20 + [0] * 5 + [1] * 3
    found = measured(rows(right, label))
    assert found["of"]["a"] == {"n": 20, "groups": 20, "accuracy": wilson(18, 20), "too_small": False}
    assert found["of"]["b"]["accuracy"] == wilson(20, 40)
    assert found["of"]["c"] == {"n": 5, "groups": 5, "accuracy": wilson(0, 5), "too_small": True}
    assert (found["worst"], found["unknown"]) == ("b", 3), "c has too few images to be the worst"
    assert found["gap"]["value"] == pytest.approx(0.9 - 0.5)
    assert found["gap"]["low"] > 0 and found["gap"]["high"] < 0.75 and found["p"] < 0.05


def test_two_slices_have_the_usual_interval_of_a_difference():
    found = measured(rows([1] * 300 + [0] * 100 + [1] * 200 + [0] * 200, ["a"] * 400 + ["b"] * 400), resamples=4000)
    deviation = np.sqrt(0.75 * 0.25 / 400 + 0.5 * 0.5 / 400)
    assert found["gap"]["low"] == pytest.approx(0.25 - 1.96 * deviation, abs=0.005)
    assert found["gap"]["high"] == pytest.approx(0.25 + 1.96 * deviation, abs=0.005)


def test_slices_whose_answers_are_all_right_or_all_wrong_still_have_an_interval():
    found = measured(rows([1] * 12 + [0] * 12, ["a"] * 12 + ["b"] * 12))
    assert found["gap"]["value"] == 1 and found["gap"]["low"] < 0.85
    same = measured(rows([1] * 24, ["a"] * 12 + ["b"] * 12))
    assert same["p"] == 1.0 and same["gap"]["low"] == -same["gap"]["high"] < -0.1


@pytest.mark.parametrize("label", [[""] * 30, ["a"] * 30, ["a"] * 25 + ["b"] * 5])
def test_without_two_slices_that_are_large_enough_nothing_is_compared(label):
    found = measured(rows([1, 0] * 15, label))
    assert (found["worst"], found["gap"], found["p"]) == (None, None, None)
    assert sum(one["n"] for one in found["of"].values()) + found["unknown"] == 30


def test_images_of_few_patients_widen_the_interval_and_are_not_compared():
    right, label, groups = drawn(np.random.default_rng(0), [0.7, 0.7], [40, 8], images_per_group=10)
    found = measured(rows(right, label.astype(str), groups.astype(str)))
    of = found["of"]["0"]
    alone = wilson(int(right[label == 0].sum()), 400)
    assert of["accuracy"]["high"] - of["accuracy"]["low"] > 2.5 * (alone["high"] - alone["low"])
    assert (of["n"], of["groups"], found["of"]["1"]["too_small"], found["worst"]) == (400, 40, True, None)


def p_of(right, label, groups, seed=1):
    return slices.difference_p(right, label, groups, np.random.default_rng(seed))


@pytest.mark.parametrize(("seed", "sizes"), [(5, [40, 50, 30]), (6, [40, 50, 30]), (1, [60, 20])])
def test_the_p_value_is_that_of_scipys_chi_square_in_numpys_tables(seed, sizes):
    """2,000 permutations have a Monte Carlo error of about 0.01."""
    right, label, groups = drawn(np.random.default_rng(seed), [0.5, 0.6, 0.75][: len(sizes)], sizes)
    hits = np.random.default_rng(0).multivariate_hypergeometric(sizes, int(right.sum()), 500)
    tables = [np.array([one, sizes - one]) for one in (np.bincount(label, right), *hits)]
    found, *others = [chi2_contingency(table, correction=False).statistic for table in tables]
    assert p_of(right, label, groups) == pytest.approx(np.mean(np.array(others) >= found - 1e-9), abs=0.06)


def test_groups_are_permuted_and_not_images():
    """Ten equal images per patient are one observation: the p-value is that of the patients, not that of the images."""
    right, label, groups = drawn(np.random.default_rng(3), [0.4, 0.7], [20, 20])
    many = [np.repeat(one, 10) for one in (right, label, groups)]
    assert p_of(*many) == pytest.approx(p_of(right, label, groups), abs=0.02)
    assert p_of(many[0], many[1], np.arange(400)) < p_of(*many) / 10


def test_images_of_a_patient_in_two_slices_are_exchanged_within_groups_of_equal_size():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    label = rng.integers(0, 2, len(groups))
    assert p_of((rng.random(len(groups)) < 0.2 + 0.6 * label).astype(float), label, groups) < 0.01
    assert p_of((rng.random(len(groups)) < 0.5).astype(float), label, groups) > 0.05


@pytest.mark.parametrize(("images", "mixed"), [(1, False), (4, False), (4, True)])
def test_equal_slices_differ_in_at_most_five_per_cent_of_the_test_sets(images, mixed, monkeypatch):
    """200 test sets: 5 % are 10; 20 or more have a probability of 0.3 %."""
    monkeypatch.setattr(slices, "PERMUTATIONS", 99)
    rng, found = np.random.default_rng(7), []
    for _ in range(200):
        right, label, groups = drawn(rng, [0.6, 0.6, 0.6], [10, 15, 12], images)
        label = rng.integers(0, 3, len(right)) if mixed else label
        found.append(p_of(right, label, groups, seed=int(rng.integers(1e9))))
    assert 1 <= sum(p <= 0.05 for p in found) < 20


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [[0.6] * 5, [0.5, 0.6, 0.7, 0.8, 0.9], [0.95, 0.95]])
def test_the_interval_of_the_gap_covers_the_true_difference(accuracy):
    """Of the slices that were found best and worst, in 1,000 test sets: 95 % or more, as it holds for all pairs."""
    rng, covered = np.random.default_rng(11), 0
    for _ in range(1000):
        right, label, groups = drawn(rng, accuracy, [60] * len(accuracy))
        shares = slices._shares(right, label, groups, rng, 400)
        gap, found = slices._gap(shares), [share.right for share in shares]
        truth = accuracy[int(np.argmax(found))] - accuracy[int(np.argmin(found))]
        covered += gap["low"] <= truth <= gap["high"]
    assert covered >= 935


def test_measure_reports_slices_beside_unchanged_other_metrics():
    table = predictions(["0", "1"] * 30, ["0", "0"] * 30)
    plain = measure(table, resamples=50)["toy/grading"]
    sliced = measure(table.assign(slice_sex=["F", "M"] * 30), resamples=50)["toy/grading"]
    assert sliced.pop("slices")["sex"]["worst"] == "M" and "slices" not in plain
    assert sliced == plain


def test_only_the_voted_answer_counts_and_two_data_sets_may_have_other_slices():
    table = predictions(["0"] * 20, ["0"] * 20, slice_site=["a", "b"] * 10)
    wrong = table.assign(sample=1, vote=False, prediction="1", acc=0.0)
    samples = pd.concat([table.assign(sample=0, vote=True), wrong])
    other = predictions(["0"] * 4, ["1"] * 4).assign(data_source="other", sample=0, vote=True)
    found = measure(pd.concat([samples, other], ignore_index=True), resamples=20)
    assert found["toy/grading"]["slices"]["site"]["of"]["a"]["n"] == 10
    assert found["toy/grading"]["slices"]["site"]["of"]["a"]["accuracy"]["value"] == 1
    assert found["other/grading"]["slices"]["site"] == {"of": {}, "worst": None, "gap": None, "p": None, "unknown": 4}
