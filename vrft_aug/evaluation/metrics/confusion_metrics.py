"""Computes the metrics of a confusion matrix (kappa, F1 and others) for many resamples of the images at once.

counts: (resamples, classes, classes + 1), a row per ground truth, a column per answer; the last: unparseable.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def counts_of(truth: NDArray[np.intp], answer: NDArray[np.intp], classes: int) -> Callable[[Floats], Floats]:
    """Weights of the rows, (resamples, n) -> counts. truth, answer: positions of classes, (n,)."""
    size = classes, classes + 1
    cells = np.eye(size[0] * size[1])[truth * size[1] + answer]
    return lambda weights: (weights @ cells).reshape(-1, *size)


def recalls(counts: Floats) -> Floats:
    """(resamples, classes); NaN for a class without an image."""
    images = counts.sum(2)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return np.divide(hits, images, out=np.full(images.shape, np.nan), where=images > 0)


def _chance(counts: Floats) -> Floats:
    """The sum over classes of p(answer) p(label)."""
    share = counts / counts.sum((1, 2), keepdims=True)
    return (share.sum(2) * share.sum(1)[:, :-1]).sum(1)


def _balanced_accuracy(counts: Floats) -> Floats:
    return _over_classes(counts, np.diagonal(counts, axis1=1, axis2=2), counts.sum(2))


def _worst_recall(counts: Floats) -> Floats:
    """The recall of the class that is recognised worst, among the classes that occur."""
    return np.nanmin(recalls(counts), axis=1)


def _macro_f1(counts: Floats) -> Floats:
    hits, answers = np.diagonal(counts, axis1=1, axis2=2), counts.sum(1)[:, :-1]
    return _over_classes(counts, 2 * hits, counts.sum(2) + answers)


def _over_classes(counts: Floats, numerator: Floats, denominator: Floats) -> Floats:
    """Mean of the quotient over the classes that occur in the test set."""
    occurs = counts.sum(2) > 0
    return np.where(occurs, numerator / np.where(occurs, denominator, 1), 0).sum(1) / occurs.sum(1)


def _quadratic_kappa(counts: Floats) -> Floats:
    table, weight = _parsed(counts), _distances(counts) ** 2
    expected = table.sum(2)[:, :, None] * table.sum(1)[:, None] / table.sum((1, 2))[:, None, None]
    by_chance = (weight * expected).sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - (weight * table).sum((1, 2)) / by_chance, np.nan)


def _mean_absolute_error(counts: Floats) -> Floats:
    return (_distances(counts) * _parsed(counts)).sum((1, 2)) / counts.sum((1, 2))


def _parsed_mean_absolute_error(counts: Floats) -> Floats:
    parsed = counts[:, :, :-1].sum((1, 2))
    error = (_distances(counts) * counts[:, :, :-1]).sum((1, 2))
    return np.divide(error, parsed, out=np.full(len(counts), np.nan), where=parsed > 0)


def _parsed(counts: Floats) -> Floats:
    """(resamples, grades, grades): an unparseable answer counts as the grade farthest from the ground truth."""
    farthest = _distances(counts).argmax(1)
    return counts[:, :, :-1] + counts[:, :, -1:] * np.eye(counts.shape[1])[farthest]


def _distances(counts: Floats) -> Floats:
    grades = np.arange(counts.shape[1])
    return np.abs(grades[:, None] - grades).astype(float)


METRICS = {
    "chance": _chance,
    "balanced_accuracy": _balanced_accuracy,
    "worst_recall": _worst_recall,
    "macro_f1": _macro_f1,
    "quadratic_kappa": _quadratic_kappa,
    "mean_absolute_error": _mean_absolute_error,
    "parsed_mean_absolute_error": _parsed_mean_absolute_error,
}
OF_GRADES = ("quadratic_kappa", "mean_absolute_error", "parsed_mean_absolute_error")
