"""Gives a metric by its name as a function of the images' weights, so that a claim can resample it."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics import confusion_metrics, detection_metrics
from vrft_aug.evaluation.metrics.box_metrics import box_statistic, overlaps
from vrft_aug.evaluation.metrics.class_metrics import class_order, codes, matched_answers
from vrft_aug.evaluation.metrics.class_scores import read_scores
from vrft_aug.evaluation.metrics.detection_metrics import detection_statistic
from vrft_aug.evaluation.metrics.probability_metrics import FAMILIES, FAMILIES_OF_QUESTIONS, known_disease
from vrft_aug.rewards.parsing import QUESTION

Floats = NDArray[np.float64]
OF_BOXES = {"localization": ("mean_iou",), "detection": detection_metrics.NAMES}  # recall_50 of one box is the accuracy
OF_ANSWERS = (*confusion_metrics.METRICS, *OF_BOXES["localization"], *OF_BOXES["detection"])
OF_PROBABILITIES = tuple(FAMILIES)
OF_TASKS = OF_BOXES | {QUESTION: tuple(FAMILIES_OF_QUESTIONS)}
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
    if name not in OF_TASKS.get(task, (*confusion_metrics.METRICS, *OF_PROBABILITIES)):
        raise InputError(f"{task} has no {name}")
    if task in OF_BOXES:
        return _of_boxes(name, task, rows)
    if name in OF_PROBABILITIES:
        return _of_probabilities(name, task, rows, disease)
    if task != "grading" and name in confusion_metrics.OF_GRADES:
        raise InputError(f"{task} has no {name}")
    classes = class_order(task, rows)
    truth, answer = codes(classes, rows["ground_truth"], matched_answers(rows, classes))
    counts_of = confusion_metrics.counts_of(truth, answer, len(classes))
    return lambda weights: confusion_metrics.METRICS[name](counts_of(weights))


def _of_boxes(name: str, task: str, rows: pd.DataFrame) -> Callable[[Floats], Floats]:
    truths, answers = rows["ground_truth"], rows["prediction"].where(rows["rejected"] == "", "")
    one = task == "localization"
    statistic = box_statistic(overlaps(truths, answers)) if one else detection_statistic(truths, answers)
    return lambda weights: statistic(weights)[name]


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
