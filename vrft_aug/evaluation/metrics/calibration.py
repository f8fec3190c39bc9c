"""Measures whether a policy is as often right as it says: calibration error, Brier score, and the reliability plot.

The calibration error is that of the most probable class ("top label", Guo et al. 2017, ICML): images are sorted into 15
bins of equal width by their highest probability, and the error is

    ECE = sum over bins of |sum over the bin's images of (right - confidence)| / n

This number is biased upward: of a policy that is calibrated it measures chance alone, because an absolute value is
never negative (Kumar, Liang and Ma 2019, NeurIPS). A percentile interval would be biased twice, so `error_interval`
inverts a test instead: it holds the errors e for which a sample with as many images would show what was seen.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics.class_scores import Scores
from vrft_aug.evaluation.metrics.intervals import CONFIDENCE, Quantity, estimate, number

Floats = NDArray[np.float64]
BINS = 15
EDGES = np.linspace(0, 1, BINS + 1)
CANDIDATES = 41  # errors that `error_interval` tries; it interpolates between them


def bins(confidence: Floats) -> NDArray[np.intp]:
    """The bin of each image, (n,): bin b holds the confidences above EDGES[b] and up to EDGES[b + 1]."""
    return np.clip(np.searchsorted(EDGES, confidence, "left") - 1, 0, BINS - 1)


def gaps(confidence: Floats, right: NDArray) -> Floats:
    """right - confidence of each image, in the column of its bin, (n, BINS)."""
    return np.eye(BINS)[bins(confidence)] * (right - confidence)[:, None]


def brier(scores: Scores) -> Floats:
    """The Brier score of each image, (n,): the sum over classes of (probability - is it the class?) ** 2.

    Brier 1950, Monthly Weather Review 78, 1-3: from 0 to 2; twice the usual score of two classes.
    """
    return ((scores.probabilities - np.eye(scores.probabilities.shape[1])[scores.truth]) ** 2).sum(1)


def reliability(scores: Scores) -> dict[str, list[Any]]:
    """The points of the reliability plot: per bin the mean confidence, the accuracy, and the number of images."""
    place = bins(scores.confidence)
    count = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, values, BINS) for values in (scores.confidence, scores.right)]
    means = [[number(total / n) if n else None for total, n in zip(one, count, strict=True)] for one in sums]
    return {"edges": EDGES.tolist(), "confidence": means[0], "accuracy": means[1], "count": count.tolist()}


def error_interval(gap: Floats, resampled: Floats) -> Quantity:
    """The calibration error with a 95 % interval that is honest near 0.

    gap: the mean of `gaps` over the images, (BINS,). resampled: the same in each resample, (resamples, BINS).

    What resampling adds to the gaps stands for the chance in them. A candidate error e is a set of gaps whose absolute
    values sum to e; with the added chance it gives the errors that samples would show. The interval ends where the
    error that was seen is at their 97.5 % (low) and 2.5 % (high) quantile. How e is spread over the bins is unknown: as
    it was seen for the low end; for the high end with the chance of each bin added, since chance makes few bins stand
    out. In simulations this covers the true error in 93 to 97 %, or in more where it is 0 (test_coverage.py).
    The interval is widened to hold the value, which is biased upward and may lie above it.
    """
    value, chance = float(np.abs(gap).sum()), resampled - gap
    spread = np.sign(gap) * (np.abs(gap) + chance.std(0))
    low = _inverted(value, gap, chance, (1 + CONFIDENCE) / 2)
    high = _inverted(value, spread, chance, (1 - CONFIDENCE) / 2)
    return estimate(value, min(low, value), max(high, value))


def _inverted(value: float, shape: Floats, chance: Floats, at: float) -> float:
    """The error of this shape for which samples show less than `value` with probability `at`."""
    if not shape.any():
        return value
    tried = np.linspace(0, value + np.quantile(np.abs(chance).sum(1), CONFIDENCE), CANDIDATES)
    scaled = tried[:, None, None] * (shape / np.abs(shape).sum())
    seen = np.quantile(np.abs(scaled + chance).sum(2), at, axis=1)
    return float(np.interp(value, np.maximum.accumulate(seen), tried))
