"""Gives a metric by its name as a function of the images' weights, so that a claim can resample it."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics import confusion_metrics, detection_metrics
from vrft_aug.evaluation.metrics.class_metrics import class_order, codes, matched_answers
from vrft_aug.evaluation.metrics.class_scores import read_scores
from vrft_aug.evaluation.metrics.probability_metrics import FAMILIES, known_disease

Floats = NDArray[np.float64]
OF_DETECTION = detection_metrics.NAMES
OF_ANSWERS = (*confusion_metrics.METRICS, *OF_DETECTION)
OF_PROBABILITIES = tuple(FAMILIES)
LOWER_IS_BETTER = ("mean_absolute_error", "parsed_mean_absolute_error", "brier", "calibration_error", "aurc",
                   "false_boxes")  # fmt: skip


def metric_of_weights(
    name: str, task: str, rows: pd.DataFrame, disease: Sequence[str] = ()
) -> Callable[[Floats], Floats]:
    """The metric as a function of row weights, (resamples, n) -> (resamples,).

    rows: predictions of one data source and task, as `measure` reads them, one row per image. disease: names of
    classes. Raises InputError if the task or these predictions have no such metric, and for probabilities that only
    some of the images have.
    """
    known = OF_DETECTION if task == "detection" else (*confusion_metrics.METRICS, *OF_PROBABILITIES)
    if task == "localization" or name not in known:
        raise InputError(f"{task} has no {name}")
    if task == "detection":
        answers = rows["prediction"].where(rows["rejected"] == "", "")
        statistic = detection_metrics.detection_statistic(rows["ground_truth"], answers)
        return lambda weights: statistic(weights)[name]
    if name in OF_PROBABILITIES:
        return _of_probabilities(name, task, rows, disease)
    if task != "grading" and name in confusion_metrics.OF_GRADES:
        raise InputError(f"{task} has no {name}")
    classes = class_order(task, rows)
    truth, answer = codes(classes, rows["ground_truth"], matched_answers(rows, classes))
    counts_of = confusion_metrics.counts_of(truth, answer, len(classes))
    return lambda weights: confusion_metrics.METRICS[name](counts_of(weights))


def _of_probabilities(name: str, task: str, rows: pd.DataFrame, disease: Sequence[str]) -> Callable[[Floats], Floats]:
    scores = read_scores(task, rows)
    if scores is None:
        raise InputError("the predictions have no class probabilities; evaluate with probabilities=true")
    if not scores.known.all():
        raise InputError("the predictions have class probabilities for some of the images only; evaluate again")
    disease = known_disease(scores, disease)
    if name == "sensitivity_at_90_specificity" and not disease:
        raise InputError(f"{name} needs classes of disease: add `disease` to the data set's yaml and evaluate again")
    statistic = FAMILIES[name](scores, disease)
    return lambda weights: statistic(weights)[name]
