"""Bootstraps sums over groups of images (patients, lesions): the counts behind shares and agreement, in one pass."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics.intervals import CONFIDENCE, Quantity, estimate, wilson

Floats = NDArray[np.float64]


def resampled_sums(table: Floats, groups: NDArray, rng: Generator, resamples: int) -> Floats:
    """Sums of each column over the rows of each resample, (resamples, columns).

    A resample draws as many groups as there are, with replacement; all rows of a drawn group count as often as it was
    drawn. table: numbers per row, (n, columns). groups: the group of each row, (n,). Groups with the same sums are
    alike, so it draws how many of each kind there are: few numbers instead of one per group.
    """
    names, group_of_row = np.unique(groups, return_inverse=True)
    per_group = np.zeros((len(names), table.shape[1]))
    np.add.at(per_group, group_of_row, table)
    kinds, number = np.unique(per_group, axis=0, return_counts=True)
    return rng.multinomial(len(names), number / len(names), resamples) @ kinds


def interval(value: float, resampled: Floats) -> Quantity:
    """A value with its 95 % percentile interval. resampled: NaN where undefined."""
    found = resampled[np.isfinite(resampled)]
    if not np.isfinite(value) or not found.size:
        return estimate(None)
    return estimate(value, *np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))


class Share(NamedTuple):
    """Right images of n, which come from `groups` groups. resampled: the share in each resample, (resamples,)."""

    right: int
    n: int
    groups: int
    resampled: Floats

    def quantity(self) -> Quantity:
        """The share with Wilson's interval, or with that over groups where it is wider.

        Over few or equal groups the bootstrap is too narrow: 10 right images of 10 would have no interval at all.
        """
        alone = wilson(self.right, self.n)
        if self.groups == self.n:
            return alone
        return max(alone, interval(self.right / self.n, self.resampled), key=_width)


def _width(one: Quantity) -> float:
    return -1.0 if one["low"] is None or one["high"] is None else one["high"] - one["low"]


def divided(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
