"""Computes how certain a number is: Wilson and bootstrap intervals, McNemar's test. Every interval is a 95 % one."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binomtest

from vrft_aug.errors import InputError

CONFIDENCE = 0.95
IMAGE = ["data_source", "task", "source_id"]  # the columns that identify an image
Metrics = dict[str, Any]  # of one data source and task, as JSON holds it: see measure.py
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Weights of the rows, (resamples, n) -> named numbers, (resamples,) each, NaN where undefined.
Statistic = Callable[[Floats], dict[str, Floats]]
ELEMENTS = 500_000  # weights at a time: they fit into a processor's cache


class Quantity(TypedDict):
    """The form of every reported number: the value and its interval's limits, None where undefined."""

    value: float | None
    low: float | None
    high: float | None


class McNemar(TypedDict):
    """Result of `mcnemar`: number of images, images that only one of the runs gets right, and the p-value."""

    n: int
    only_a: int
    only_b: int
    p: float


def number(value: float | None) -> float | None:
    """A float that JSON can hold: None where the number is undefined (NaN, infinite)."""
    return float(value) if value is not None and isfinite(value) else None


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Quantity:
    """A quantity that JSON can hold."""
    return {"value": number(value), "low": number(low), "high": number(high)}


def wilson(hits: int, n: int) -> Quantity:
    """Share hits / n with Wilson's score interval (Wilson 1927), which treats the n trials as independent."""
    interval = binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    return estimate(hits / n, interval.low, interval.high)


def share(hits: Bools, among: Bools, groups: np.ndarray, rng: Generator, resamples: int) -> Quantity:
    """Share of hits among some rows, each (n,), with Wilson's interval; over groups that hold several rows with the
    bootstrap's, if that is wider (of shares of 0 or 1 it has no width). None without a row."""
    if not among.any():
        return estimate(None)
    alone, groups = wilson(int(hits[among].sum()), int(among.sum())), groups[among]
    if len(np.unique(groups)) == len(groups):
        return alone
    grouped = bootstrap(weighted_means({"share": hits[among]}), groups, rng, resamples)["share"]
    return max(alone, grouped, key=lambda one: (one["high"] or 0) - (one["low"] or 0))


def bootstrap(statistic: Statistic, groups: np.ndarray, rng: Generator, resamples: int) -> dict[str, Quantity]:
    """Percentile bootstrap of many statistics at once, which resamples whole groups (images of one patient or lesion).

    A resample gives each row a weight: how often the row's group was drawn. Groups are drawn with replacement, as many
    times as there are groups. A resample in which a statistic is undefined does not count for that statistic.

    groups: the group of each row, shape (n,). Returns {name: quantity}; "value" is the statistic with all weights 1.
    """
    return quantities(*resample(statistic, groups, rng, resamples))


def resample(
    statistic: Statistic, groups: np.ndarray, rng: Generator, resamples: int
) -> tuple[dict[str, float], dict[str, Floats]]:
    """Each statistic with all weights 1, and in each resample of `bootstrap`, shape (resamples,)."""
    names, group_of_row = np.unique(groups, return_inverse=True)
    values = {name: float(found[0]) for name, found in statistic(np.ones((1, len(groups)))).items()}
    chunks = []
    size = max(1, ELEMENTS // len(groups))
    for start in range(0, resamples, size):
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), min(size, resamples - start))
        # One image's weights lie side by side in memory, since metrics of a ranking take the images in another order.
        chunks.append(statistic(draws.T.astype(float, order="C")[group_of_row].T))
    return values, {name: np.concatenate([chunk[name] for chunk in chunks]) for name in values}


def merged(statistics: Sequence[Statistic]) -> Statistic:
    """All numbers of several statistics."""
    return lambda weights: {name: value for one in statistics for name, value in one(weights).items()}


def weighted_means(columns: Mapping[str, NDArray]) -> Statistic:
    """The mean of each column, a number per row, (n,). There may be no columns."""
    if not columns:
        return lambda weights: {}
    table = np.column_stack([np.asarray(column, float) for column in columns.values()])

    def statistic(weights: Floats) -> dict[str, Floats]:
        return dict(zip(columns, (weights @ table / weights.sum(1, keepdims=True)).T, strict=True))

    return statistic


def quantities(values: Mapping[str, float], resampled: Mapping[str, Floats]) -> dict[str, Quantity]:
    """The 95 % percentile interval of each number; resamples that are NaN do not count."""
    limits = pd.DataFrame(resampled).quantile([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {
        name: estimate(value, *limits[name]) if isfinite(value) else estimate(None) for name, value in values.items()
    }


def mcnemar(a: pd.DataFrame, b: pd.DataFrame) -> McNemar:
    """McNemar's exact test (1947) of two runs on the same images: do the runs get different images right?

    p is the two-sided exact binomial p-value of only_a against only_b; 1.0 when the runs never differ.

    a, b: predictions with the columns data_source, task, source_id, acc; one row per image, in any order.
    Raises InputError if an image occurs twice in a run, or the runs have different images.
    """
    right = [run.set_index(IMAGE)["acc"] >= 0.5 for run in (a, b)]
    for run, name in zip(right, ("first", "second"), strict=True):
        if run.index.has_duplicates:
            image = run.index[run.index.duplicated()][0][-1]
            raise InputError(f"McNemar's test: image {image} occurs twice in the {name} run; keep one row per image")
    apart = right[0].index.symmetric_difference(right[1].index)
    if len(apart):
        example = f"{apart[0][2]} of {apart[0][0]}"
        raise InputError(f"McNemar's test needs the same images in both runs: {len(apart)} are in only one run, for "
                         f"example {example}; evaluate both policies on the same parquet")  # fmt: skip
    other = right[1].reindex(right[0].index)
    only_a, only_b = int((right[0] & ~other).sum()), int((~right[0] & other).sum())
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"n": len(other), "only_a": only_a, "only_b": only_b, "p": float(p)}
