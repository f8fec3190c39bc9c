"""Measures how well a score ranks images (AUROC, average precision, risk and coverage), for many resamples at once.

Every function takes weights of the images, shape (resamples, n), and returns one number per resample. A weight of 2 is
as good as the same image twice. Images of equal score form one step: no threshold can separate them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Roc(NamedTuple):
    """Cumulative weights from the highest score down, at each step that holds a positive image; (steps, resamples).

    hits: of the positive images down to the end of the step. before, after: of the negative images above the step, and
    down to its end. positives, negatives: of all, (resamples,).
    """

    hits: Floats
    before: Floats
    after: Floats
    positives: Floats
    negatives: Floats


class Coverage(NamedTuple):
    """Cumulative weights from the most certain image down, at each step; (steps, resamples).

    covered: of all images down to the end of the step. right: of those that are right.
    """

    covered: Floats
    right: Floats


def roc(score: Floats, positive: Bools) -> Callable[[Floats], Roc]:
    """The curve of a score, (n,), that should be high for the positive images, (n,)."""
    order = np.argsort(-score, kind="stable")
    first, second = order[positive[order]], order[~positive[order]]
    last = _ends(score[first])
    step, below = -score[first][last], -score[second]
    above, down_to = np.searchsorted(below, step, "left"), np.searchsorted(below, step, "right")

    def of_weights(weights: Floats) -> Roc:
        hits, negative = _cumulative(weights, first), _cumulative(weights, second)
        return Roc(hits[1:][last], negative[above], negative[down_to], hits[-1], negative[-1])

    return of_weights


def auroc(curve: Roc) -> Floats:
    """Probability that a positive image has a higher score than a negative one, ties counted half; NaN without both.

    The area under the ROC curve (Hanley and McNeil 1982, Radiology 143, 29-36).
    """
    higher = curve.negatives - (curve.before + curve.after) / 2
    return _quotient((_gains(curve.hits) * higher).sum(0), curve.positives * curve.negatives)


def average_precision(curve: Roc) -> Floats:
    """Area under the steps of precision and recall, the sum of (R_k - R_(k-1)) P_k, without interpolation.

    NaN unless there are positive and negative images.
    """
    precision = _quotient(curve.hits, curve.hits + curve.after, 0.0)
    value = _quotient((_gains(curve.hits) * precision).sum(0), curve.positives)
    return np.where(curve.negatives > 0, value, np.nan)


def sensitivity_at(curve: Roc, specificity: float) -> Floats:
    """The highest sensitivity at a threshold with at least this specificity; NaN without both kinds of images."""
    allowed = curve.after <= (1 - specificity) * curve.negatives + 1e-9
    hits = np.where(allowed, curve.hits, 0.0).max(0, initial=0.0)
    return np.where(curve.negatives > 0, _quotient(hits, curve.positives), np.nan)


def coverage(confidence: Floats, right: Bools) -> Callable[[Floats], Coverage]:
    """The curve of a confidence, (n,), that should be high for the images that are right, (n,)."""
    order = np.argsort(-confidence, kind="stable")
    last = _ends(confidence[order])

    def of_weights(weights: Floats) -> Coverage:
        covered, hits = _cumulative(weights, order), _cumulative(weights * right, order)
        return Coverage(covered[1:][last], hits[1:][last])

    return of_weights


def area_under_risk(curve: Coverage) -> Floats:
    """AURC (Geifman, Uziel and El-Yaniv 2019, ICLR): mean over the images of the risk at the image's own confidence.

    The risk is the share of errors among all images that are at least as certain. Lower is better.
    """
    risk = 1 - _quotient(curve.right, curve.covered, 1.0)
    return _quotient((_gains(curve.covered) * risk).sum(0), curve.covered[-1])


def accuracy_at(curve: Coverage, share: float) -> Floats:
    """Accuracy on the most certain images, this share of all; of a step that is covered in part, that part counts."""
    target = share * curve.covered[-1]
    gained = _gains(curve.covered)
    before = curve.covered - gained
    part = np.clip(_quotient(target - before, gained, 0.0), 0, 1)
    return _quotient((_gains(curve.right) * part).sum(0), target)


def _ends(ordered: Floats) -> NDArray[np.intp]:
    """Positions at which a step of equal scores ends."""
    return np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) if len(ordered) else np.zeros(0, np.intp)


def _cumulative(weights: Floats, order: NDArray[np.intp]) -> Floats:
    """Sums of the weights of the first 0, 1, ... images in this order, (images + 1, resamples)."""
    sums = np.zeros((len(order) + 1, len(weights)))
    np.cumsum(weights.T[order], axis=0, out=sums[1:])
    return sums


def _gains(cumulative: Floats) -> Floats:
    return np.diff(cumulative, axis=0, prepend=0)


def _quotient(above: Floats, below: Floats, undefined: float = np.nan) -> Floats:
    """above / below; `undefined` where below is 0."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, undefined), where=below > 0)
