"""Draws that keep the shares of the classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrft_aug.data.preparation.strata import bounded_draw, even_out, share_out
from vrft_aug.data.seeding import generator

COUNTS = st.lists(st.integers(0, 300), min_size=1, max_size=14)


@given(COUNTS, st.integers(1, 300))
def test_the_shares_sum_to_the_total_and_no_class_vanishes(counts, total):
    counts = np.array(counts)
    shares = share_out(counts, total)
    assert shares.sum() == min(total, counts.sum()) and (shares <= counts).all()
    classes = np.count_nonzero(counts)
    assert np.count_nonzero(shares) == classes or total < classes
    exact = counts * total / max(counts.sum(), 1)
    if counts.sum() > total and (exact[counts > 0] >= 1).all():
        assert (np.abs(shares - exact) < 1).all()


@pytest.mark.parametrize(("counts", "total", "expected"), [
    ([10, 10, 10], 40, [10, 10, 10]),
    ([1000, 10, 10], 20, [18, 1, 1]),
    ([50, 30, 20], 10, [5, 3, 2]),
    ([1, 1, 1], 2, [1, 1, 0]),
    ([5, 0, 5], 5, [3, 0, 2]),
])  # fmt: skip
def test_known_shares(counts, total, expected):
    assert share_out(np.array(counts), total).tolist() == expected


def test_each_class_is_bounded_before_the_total():
    labels = np.repeat([0, 1, 2], [500, 40, 4])
    drawn = labels[bounded_draw(labels, 20, None, generator(0, "val"))]
    assert np.bincount(drawn).tolist() == [20, 20, 4]
    drawn = labels[bounded_draw(labels, 20, 22, generator(0, "val"))]
    assert np.bincount(drawn).tolist() == [10, 10, 2]


def test_without_bounds_all_samples_remain_in_order():
    labels = np.random.default_rng(0).integers(-1, 3, 50)
    assert bounded_draw(labels, None, None, generator(0, "val")).tolist() == list(range(50))


def test_samples_without_a_label_are_one_class():
    labels = np.repeat([-1, 0], [60, 30])
    drawn = labels[bounded_draw(labels, None, 30, generator(0, "val"))]
    assert np.bincount(drawn + 1).tolist() == [20, 10]


def test_a_smaller_draw_lies_within_a_larger_one():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [300, 200, 100]))
    draws = [set(bounded_draw(labels, each, total, generator(3, "val")).tolist())
             for each, total in ((10, None), (20, None), (20, 30), (40, 60))]
    assert draws[0] < draws[1] and draws[2] < draws[3]
    assert draws[1] != set(bounded_draw(labels, 20, None, generator(4, "val")).tolist())


@given(COUNTS, st.integers(1, 300))
def test_an_even_draw_takes_as_many_of_each_class_as_there_are(counts, total):
    counts = np.array(counts)
    given_out = even_out(counts, total)
    assert given_out.sum() == min(total, counts.sum()) and (given_out <= counts).all()
    short = given_out < counts
    if short.any():  # a class that could give more has as many as any other, or one fewer
        assert given_out[short].min() >= given_out.max() - 1


@pytest.mark.parametrize(("counts", "total", "expected"), [
    ([100, 10, 100], 60, [25, 10, 25]), ([3, 3, 3], 5, [2, 2, 1]), ([5, 0, 1], 9, [5, 0, 1]), ([9, 0, 9], 4, [2, 0, 2]),
])  # fmt: skip
def test_known_even_draws(counts, total, expected):
    assert even_out(np.array(counts), total).tolist() == expected
