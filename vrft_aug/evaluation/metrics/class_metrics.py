"""Computes the metrics of classification and grading. An unparseable answer has its own column and is never right."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics import confusion_metrics
from vrft_aug.evaluation.metrics.intervals import Floats, Statistic, wilson
from vrft_aug.rewards.answer_text import normalise

UNPARSEABLE = "unparseable"


def class_order(task: str, rows: pd.DataFrame) -> list[str]:
    """The classes in the prompt's order if all rows have the same, else alphabetical; grades ascend without gaps."""
    if "classes" not in rows:
        raise InputError("predictions lack the column classes; write them with recipes/evaluate.py")
    orders = {tuple(map(str, classes)) for classes in rows["classes"]}
    classes = list(orders.pop()) if len(orders) == 1 else sorted(set().union(*orders))
    if task != "grading":
        return classes
    try:
        grades = [int(name) for name in classes]
    except ValueError:
        raise InputError(f"grading needs integer classes, not {classes}; correct the data set's yaml") from None
    return [str(grade) for grade in range(min(grades), max(grades) + 1)]


def matched_answers(rows: pd.DataFrame, classes: list[str]) -> pd.Series:
    """The class that each row answers, by its name in any case or an alias; "" if the answer is rejected or no class.

    Raises InputError for a ground truth that is no class, and for a right answer with acc 0.
    """
    truth = _match(rows["ground_truth"], classes)
    if truth.isna().any():
        row = rows[truth.isna()].iloc[0]
        raise InputError(f"image {row.source_id}: ground truth {row.ground_truth!r} is not one of {classes}")
    answers = _match(rows["prediction"], classes).where(rows["rejected"] == "").fillna("")
    right = rows["acc"] == 1
    if (contradiction := (answers == truth) & ~right).any():
        row = rows[contradiction].iloc[0]
        raise InputError(f"image {row.source_id}: prediction {row.prediction!r} is the ground truth, but acc is 0")
    return answers.mask(right, truth)


def class_metrics(task: str, classes: list[str], truth: pd.Series, answers: pd.Series) -> tuple[dict, Statistic]:
    """Two facts about the answers, and a statistic of row weights for the bootstrap.

    Facts: majority {class, value, low, high} is the accuracy of the constant predictor, which always gives the most
    frequent class of this test set. confusion {classes, columns, counts} has a row per ground truth and a column per
    answer; the last column counts the unparseable answers.
    Statistics: chance is the expected accuracy if the same answers were given to the images at random, the sum of
    p(answer) p(label); a policy that ignores its images reaches it. balanced_accuracy and macro_f1 are means over the
    classes that occur in the test set; worst_recall is the lowest recall of them. The lowest of several noisy numbers
    is biased downwards, and the more so the fewer images a class has. recall/<class> is undefined if the class has no
    image.
    Grading also has quadratic_kappa and mean_absolute_error (in grades). In both, an unparseable answer counts as the
    grade farthest from the ground truth: to leave it out would reward silence. parsed_mean_absolute_error does so.
    """
    n = len(classes)
    true, answer = codes(classes, truth, answers)
    counts = confusion_matrix(true, answer, labels=range(n + 1))[:n]
    majority = int(counts.sum(1).argmax())
    facts = {
        "majority": {"class": classes[majority], **wilson(int(counts.sum(1)[majority]), len(true))},
        "confusion": {"classes": classes, "columns": [*classes, UNPARSEABLE], "counts": counts.tolist()},
    }
    counts_of = confusion_metrics.counts_of(true, answer, n)
    names = [name for name in confusion_metrics.METRICS if task == "grading" or name not in confusion_metrics.OF_GRADES]

    def statistic(weights: Floats) -> dict[str, Floats]:
        found = counts_of(weights)
        recalls = zip(classes, confusion_metrics.recalls(found).T, strict=True)
        metrics = {name: confusion_metrics.METRICS[name](found) for name in names}
        return metrics | {f"recall/{name}": recall for name, recall in recalls}

    return facts, statistic


def codes(classes: list[str], truth: pd.Series, answers: pd.Series) -> tuple[NDArray[Any], NDArray[Any]]:
    """Positions of the ground truths and of the matched answers in `classes`; of the answer "" it is len(classes)."""
    code = {name: position for position, name in enumerate(classes)} | {"": len(classes)}
    return np.asarray(_match(truth, classes).map(code), np.intp), np.asarray(answers.map(code), np.intp)


def _match(names: pd.Series, classes: list[str]) -> pd.Series:
    return names.map(normalise).map({normalise(name): name for name in classes})
