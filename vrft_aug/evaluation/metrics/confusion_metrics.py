"""Computes metrics that are not a mean over images (kappa, F1 and others) for many resamples of the images at once."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.class_metrics import class_order, matched_answers
from vrft_aug.rewards.parsing import normalise

Floats = NDArray[np.float64]


def metric_of_weights(name: str, task: str, rows: pd.DataFrame) -> Callable[[Floats], Floats]:
    """The metric as a function of row weights, (resamples, n) -> (resamples,).

    rows: predictions of one data source and task, as `measure` reads them. Raises InputError if the task has no such
    metric.
    """
    if task == "localization" or name not in METRICS or (task != "grading" and name in OF_GRADES):
        raise InputError(f"{task} has no {name}")
    classes = class_order(task, rows)
    position = {normalise(one): number for number, one in enumerate(classes)}
    truth = rows["ground_truth"].map(normalise).map(position).to_numpy(int)
    answer = matched_answers(rows, classes).map(normalise).map(position).fillna(len(classes)).to_numpy(int)
    size = len(classes), len(classes) + 1
    cells = np.eye(size[0] * size[1])[truth * size[1] + answer]
    return lambda weights: METRICS[name]((weights @ cells).reshape(-1, *size))


def _balanced_accuracy(counts: Floats) -> Floats:
    return _over_classes(counts, np.diagonal(counts, axis1=1, axis2=2), counts.sum(2))


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


def _parsed(counts: Floats) -> Floats:
    """(resamples, grades, grades): an unparseable answer counts as the grade farthest from the ground truth."""
    farthest = _distances(counts).argmax(1)
    return counts[:, :, :-1] + counts[:, :, -1:] * np.eye(counts.shape[1])[farthest]


def _distances(counts: Floats) -> Floats:
    grades = np.arange(counts.shape[1])
    return np.abs(grades[:, None] - grades).astype(float)


METRICS = {"balanced_accuracy": _balanced_accuracy, "macro_f1": _macro_f1, "quadratic_kappa": _quadratic_kappa,
           "mean_absolute_error": _mean_absolute_error}  # fmt: skip
OF_GRADES = ("quadratic_kappa", "mean_absolute_error")
