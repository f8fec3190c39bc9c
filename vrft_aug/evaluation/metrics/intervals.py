"""How sure a number is: Wilson and bootstrap intervals, McNemar's test. All intervals are 95 % ones."""

from collections.abc import Callable
from math import isfinite

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from vrft_aug.errors import InputError

CONFIDENCE = 0.95
IMAGE = ["data_source", "task", "source_id"]


def number(value: float | None) -> float | None:
    """A float that JSON can hold: None where the quantity is undefined (NaN, infinite)."""
    return float(value) if value is not None and isfinite(value) else None


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    """The form of every reported quantity: {"value", "low", "high"}, each a float or None where undefined."""
    return {"value": number(value), "low": number(low), "high": number(high)}


def wilson(hits: int, n: int) -> dict[str, float | None]:
    """Share hits / n with Wilson's score interval (Wilson 1927), which treats the n trials as independent."""
    interval = binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    return estimate(hits / n, interval.low, interval.high)


def bootstrap(
    statistic: Callable[[np.ndarray], dict[str, float]], groups: np.ndarray, rng: np.random.Generator, resamples: int
) -> dict[str, dict[str, float | None]]:
    """Percentile bootstrap of many statistics at once, resampling whole groups (images of one patient or lesion).

    A resample is a weight a row: how often the row's group was drawn, with replacement, in as many draws as there are
    groups. `statistic` takes those weights (shape (n,), floats) and returns named numbers, NaN where undefined; a
    resample in which a statistic is undefined says nothing about it and is left out of its interval.

    Returns {name: {"value": on the data itself, "low", "high"}}.
    """
    names, group_of_row = np.unique(groups, return_inverse=True)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    values = statistic(np.ones(len(groups)))
    tail = (1 - CONFIDENCE) / 2
    resampled = pd.DataFrame([statistic(draw[group_of_row].astype(float)) for draw in draws], columns=list(values))
    limits = resampled.quantile([tail, 1 - tail])
    return {
        name: estimate(value, *limits[name]) if isfinite(value) else estimate(None) for name, value in values.items()
    }


def mcnemar(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float | int]:
    """McNemar's exact test (1947) of two runs on the same images: do they differ in what they get right?

    Args:
        a, b: predictions with the columns data_source, task, source_id, acc; one row an image, in any order.
    Returns:
        {"n", "only_a": images that only a gets right, "only_b", "p": two-sided exact binomial p of only_a against
        only_b; 1.0 when the runs never differ}.
    Raises:
        InputError: an image occurs twice in a run, or the runs hold different images.
    """
    right = [run.set_index(IMAGE)["acc"] >= 0.5 for run in (a, b)]
    for run, name in zip(right, ("first", "second"), strict=True):
        if run.index.has_duplicates:
            image = run.index[run.index.duplicated()][0][-1]
            raise InputError(f"McNemar's test: image {image} occurs twice in the {name} run; keep one row an image")
    apart = right[0].index.symmetric_difference(right[1].index)
    if len(apart):
        raise InputError(
            f"McNemar's test needs the same images in both runs: {len(apart)} are in one only, for example "
            f"{apart[0][2]} of {apart[0][0]}; evaluate both policies on the same parquet"
        )
    other = right[1].reindex(right[0].index)
    only_a, only_b = int((right[0] & ~other).sum()), int((~right[0] & other).sum())
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"n": len(other), "only_a": only_a, "only_b": only_b, "p": float(p)}
