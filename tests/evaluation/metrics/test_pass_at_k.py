"""pass@k and the share of mixed groups equal what all subsets of the samples give, and known values."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy.stats import hypergeom

from vrft_aug.evaluation.metrics.pass_at_k import all_among, ladder, mixed_share, pass_at_k


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 1), (5, 2), (5, 5), (8, 4), (10, 3)])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(n, k):
    for right in range(n + 1):
        samples = [True] * right + [False] * (n - right)
        share = np.mean([any(chosen) for chosen in combinations(samples, k)])
        assert pass_at_k(right, n, k) == pytest.approx(share)


def test_pass_at_k_by_hand():
    """2 of 4 samples are right: 1 of the 6 pairs has none; every sample is right with chance 1/2."""
    assert pass_at_k([2], 4, 2).tolist() == pytest.approx([5 / 6])
    assert pass_at_k([0, 2, 4], 4, 1).tolist() == [0, 0.5, 1]
    assert pass_at_k([0, 1, 3, 4], 4, 4).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("k", [1, 2, 8, 32, 64])
def test_pass_at_k_is_the_hypergeometric_distribution(k):
    """With 64 samples the closed form has numbers of 19 digits. scipy.stats is the second implementation."""
    right = np.arange(65)
    assert pass_at_k(right, 64, k) == pytest.approx(1 - hypergeom.pmf(0, 64, right, k), abs=1e-9)
    exact = [1 - comb(64 - c, k) / comb(64, k) for c in right.tolist()]
    assert pass_at_k(right, 64, k) == pytest.approx(exact, abs=1e-12)


def test_pass_at_k_is_not_biased():
    """The mean over all outcomes of 5 samples with chance 0.3 is 1 - 0.7^k, for every k."""
    for k in range(1, 6):
        mean = sum(0.3 ** sum(one) * 0.7 ** (5 - sum(one)) * pass_at_k(sum(one), 5, k)
                   for one in product((0, 1), repeat=5))  # fmt: skip
        assert mean == pytest.approx(1 - 0.7**k)


@pytest.mark.parametrize("scores", [
    [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1.0, 0.55, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1, 1, 0.1],
])  # fmt: skip
@pytest.mark.parametrize("group", [2, 3, 4])
def test_mixed_groups_are_the_subsets_with_different_scores(scores, group):
    share = np.mean([len(set(chosen)) > 1 for chosen in combinations(scores, group)])
    assert mixed_share([scores], group) == pytest.approx([share])


def test_mixed_groups_of_two_scores_have_the_closed_form():
    for right in range(17):
        scores = [0.1 + 0.9] * right + [0.1] * (16 - right)
        closed = 1 - comb(right, 8) / comb(16, 8) - comb(16 - right, 8) / comb(16, 8)
        assert mixed_share([scores], 8) == pytest.approx([closed])


def test_scores_that_differ_by_rounding_alone_are_equal():
    assert mixed_share([[0.1 + 0.2, 0.3]], 2).tolist() == [0]


def test_the_values_of_k():
    assert [ladder(n) for n in (1, 2, 3, 8, 12, 64)] == [
        [1], [1, 2], [1, 2, 3], [1, 2, 4, 8], [1, 2, 4, 8, 12], [1, 2, 4, 8, 16, 32, 64],
    ]  # fmt: skip


@pytest.mark.parametrize("k", [0, 5])
def test_a_subset_that_cannot_be_drawn(k):
    with pytest.raises(ValueError, match=f"k={k} samples cannot be drawn from n=4"):
        all_among(2, 4, k)
