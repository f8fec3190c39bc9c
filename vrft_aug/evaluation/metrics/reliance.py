"""Computes how much a policy's accuracy relies on its images and on the knowledge in its prompt, and how robust it is.

All numbers are paired: the same images are answered in every condition, and a resample draws the same groups of images
for all of them (bootstrap of intervals.py).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from vrft_aug.evaluation.metrics.intervals import Floats, Quantity, Statistic, bootstrap, merged, weighted_means
from vrft_aug.evaluation.metrics.seeds import aligned

RESAMPLES = 1000
KEPT = "kept"


class Reliance(NamedTuple):
    """What became of the accuracy.

    differences: {condition: its accuracy minus that of the real rows}, shares from -1 to 1. kept: the mean accuracy
    over the degraded conditions, divided by that of the real rows; None without any. degraded: the number of these
    conditions.
    """

    differences: dict[str, Quantity]
    kept: Quantity | None
    degraded: int


def reliance(
    real: pd.DataFrame, others: Mapping[str, pd.DataFrame], degraded: Iterable[str], seed: int = 0,
    resamples: int = RESAMPLES,
) -> Reliance:  # fmt: skip
    """The differences of all conditions, with intervals over groups of images.

    real, others: one row per image with source_id, group_id and acc, in any order. degraded: the conditions that `kept`
    averages; others' names that are not among them only get a difference.
    Raises InputError if a condition has other images than the real rows.
    """
    tables = aligned([real, *others.values()])
    right = {name: table["acc"].to_numpy(float) for name, table in zip(others, tables[1:], strict=True)}
    true, worse = tables[0]["acc"].to_numpy(float), [name for name in others if name in set(degraded)]
    statistics = [weighted_means({name: column - true for name, column in right.items()})]
    if worse:
        statistics.append(_kept(true, np.mean([right[name] for name in worse], axis=0)))
    groups = tables[0]["group_id"].to_numpy()
    quantities = bootstrap(merged(statistics), groups, np.random.default_rng(seed), resamples)
    return Reliance({name: quantities[name] for name in right}, quantities.get(KEPT), len(worse))


def _kept(true: Floats, degraded: Floats) -> Statistic:
    """The mean of `degraded` divided by that of `true`, NaN where this is 0; both (n,)."""

    def statistic(weights: Floats) -> dict[str, Floats]:
        whole = weights @ true
        return {KEPT: np.where(whole > 0, weights @ degraded / np.where(whole > 0, whole, 1), np.nan)}

    return statistic
