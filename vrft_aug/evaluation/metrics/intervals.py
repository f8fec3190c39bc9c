"""Computes how certain a number is: Wilson and bootstrap intervals, McNemar's test. Every interval is a 95 % one."""

from collections.abc import Callable
from math import isfinite
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.stats import binomtest

from vrft_aug.errors import InputError

CONFIDENCE = 0.95
IMAGE = ["data_source", "task", "source_id"]  # the columns that identify an image
Metrics = dict[str, Any]  # of one data source and task, as JSON holds it: see measure.py
Statistic = Callable[[np.ndarray], dict[str, float]]  # weights of the rows, (n,) -> named numbers, NaN where undefined


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


def bootstrap(statistic: Statistic, groups: np.ndarray, rng: Generator, resamples: int) -> dict[str, Quantity]:
    """Percentile bootstrap of many statistics at once, which resamples whole groups (images of one patient or lesion).

    A resample gives each row a weight: how often the row's group was drawn. Groups are drawn with replacement, as many
    times as there are groups. A resample in which a statistic is undefined does not count for that statistic.

    groups: the group of each row, shape (n,). Returns {name: quantity}; "value" is the statistic with all weights 1.
    """
    names, group_of_row = np.unique(groups, return_inverse=True)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    values = statistic(np.ones(len(groups)))
    resampled = pd.DataFrame([statistic(draw[group_of_row].astype(float)) for draw in draws], columns=list(values))
    limits = resampled.quantile([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
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
