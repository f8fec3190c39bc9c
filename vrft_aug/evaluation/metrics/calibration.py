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
CANDIDATES = 61  # errors that `error_interval` tries; it interpolates between them


def bins(confidence: Floats) -> NDArray[np.intp]:
    """The bin of each image, (n,): bin b holds the confidences above EDGES[b] and up to EDGES[b + 1]."""
    return np.clip(np.searchsorted(EDGES, confidence, "left") - 1, 0, BINS - 1)


def gaps(scores: Scores) -> Floats:
    """right - confidence of each image, in the column of its bin, (n, BINS)."""
    return np.eye(BINS)[bins(scores.confidence)] * (scores.right - scores.confidence)[:, None]


def brier(scores: Scores) -> Floats:
    """The Brier score of each image, (n,): the sum over classes of (probability - is it the class?) ** 2.

    Brier 1950, Monthly Weather Review 78, 1-3: from 0 to 2; twice the usual score of two classes.
    """
    return ((scores.probabilities - np.eye(len(scores.classes))[scores.truth]) ** 2).sum(1)


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

    What resampling adds to the gaps stands for the chance in them. A candidate error e is the gaps made smaller or
    larger, to e in sum; with the added chance it gives the errors that samples would show. The interval ends where the
    error that was seen is at their 97.5 % (low) and 2.5 % (high) quantile. The gaps' shape is taken from the sample,
    without the part that chance explains. The interval is always widened to hold the value itself.
    """
    value, chance = float(np.abs(gap).sum()), resampled - gap
    shape = np.sign(gap) * np.sqrt(np.maximum(gap**2 - chance.var(0), 0))
    shape = shape if shape.any() else gap
    largest = value + np.quantile(np.abs(chance).sum(1), CONFIDENCE)
    tried = np.linspace(0, largest, CANDIDATES)
    if not value:
        return estimate(value, value, largest)
    scaled = tried[:, None, None] * (shape / np.abs(shape).sum())
    seen = np.abs(scaled + chance).sum(2)  # (candidates, resamples)
    low, high = (np.interp(value, np.maximum.accumulate(np.quantile(seen, at, axis=1)), tried)
                 for at in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2))  # fmt: skip
    return estimate(value, min(low, value), max(high, value))
