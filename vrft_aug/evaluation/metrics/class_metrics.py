"""Metrics of sets with classes or grades. An unparseable answer is a column of its own and never a hit."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import cohen_kappa_score, confusion_matrix, mean_absolute_error, precision_recall_fscore_support

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.rewards.parsing import normalise

UNPARSEABLE = "unparseable"
Statistic = Callable[[np.ndarray], dict[str, float]]


def class_order(task: str, rows: pd.DataFrame) -> list[str]:
    """The prompt's order when all rows agree on it, else alphabetical; grades in ascending order without gaps."""
    if "classes" not in rows:
        raise InputError("predictions lack the column classes; write them with recipes/evaluate.py")
    orders = {tuple(map(str, classes)) for classes in rows["classes"]}
    classes = list(orders.pop()) if len(orders) == 1 else sorted(set().union(*orders))
    if task != "grading":
        return classes
    try:
        grades = [int(name) for name in classes]
    except ValueError:
        raise InputError(f"grading needs integer classes, not {classes}; mend the data set's yaml") from None
    return [str(grade) for grade in range(min(grades), max(grades) + 1)]


def matched_answers(rows: pd.DataFrame, classes: list[str]) -> pd.Series:
    """The class each row answers (case ignored), "" when rejected or no class; an accepted alias is its class."""
    truth = _match(rows["ground_truth"], classes)
    if truth.isna().any():
        row = rows[truth.isna()].iloc[0]
        raise InputError(f"image {row.source_id}: ground truth {row.ground_truth!r} is none of the classes {classes}")
    answers = _match(rows["prediction"], classes).where(rows["rejected"] == "").fillna("")
    right = rows["acc"] == 1
    if (contradiction := (answers == truth) & ~right).any():
        row = rows[contradiction].iloc[0]
        raise InputError(f"image {row.source_id}: prediction {row.prediction!r} is the ground truth, yet acc is 0")
    return answers.mask(right, truth)


def class_metrics(task: str, classes: list[str], truth: pd.Series, answers: pd.Series) -> tuple[dict, Statistic]:
    """What is known at once, and a statistic of row weights (shape (n,)) for the bootstrap.

    majority {class, value, low, high}: accuracy of the constant predictor that knows the test set's own labels.
    confusion {classes, columns, counts}: rows are the truth, the last column the unparseable answers.
    chance: accuracy to expect when the same answers are dealt to the images at random, sum of p(answer) p(label);
    what a policy that ignores its images reaches.
    balanced_accuracy, macro_f1: means over the classes that occur in the test set. recall/<class>: undefined without
    images of the class.
    Grading also: quadratic_kappa and mean_absolute_error (grades), in which an unparseable answer counts as the grade
    farthest from the truth, since leaving it out would reward silence; parsed_mean_absolute_error leaves it out.
    """
    n = len(classes)
    columns = [*classes, UNPARSEABLE]
    code = {name: position for position, name in enumerate(columns)} | {"": n}
    truth, answer = (_match(truth, classes).map(code).to_numpy(int), answers.map(code).to_numpy(int))
    counts = confusion_matrix(truth, answer, labels=range(n + 1))[:n]
    majority = int(counts.sum(1).argmax())
    facts = {
        "majority": {"class": classes[majority], **wilson(int(counts.sum(1)[majority]), len(truth))},
        "confusion": {"classes": classes, "columns": columns, "counts": counts.tolist()},
    }
    # Every metric depends on the rows through the confusion matrix alone, so a resample costs O(classes ** 2).
    cell_truth, cell_answer = np.divmod(np.arange(n * (n + 1)), n + 1)
    grades = _grade_statistic([int(name) for name in classes]) if task == "grading" else lambda *_: {}

    def statistic(weight: np.ndarray) -> dict[str, float]:
        count = np.bincount(truth * (n + 1) + answer, weights=weight, minlength=n * (n + 1))
        share = count.reshape(n, n + 1) / count.sum()
        with config_context(assume_finite=True, skip_parameter_validation=True):  # they are half of the time
            _, recall, f1, support = precision_recall_fscore_support(
                cell_truth, cell_answer, labels=range(n), sample_weight=count, zero_division=np.nan
            )
            return {
                "chance": float(share.sum(1) @ share.sum(0)[:n]),
                "balanced_accuracy": recall[support > 0].mean(),
                "macro_f1": f1[support > 0].mean(),
                **grades(cell_truth, cell_answer, count),
                **{f"recall/{name}": value for name, value in zip(classes, recall, strict=True)},
            }

    return facts, statistic


def _grade_statistic(grades: list[int]) -> Callable[..., dict[str, float]]:
    value = np.array(grades)
    farthest = np.where(value - value.min() >= value.max() - value, 0, len(grades) - 1)

    def statistic(truth: np.ndarray, answer: np.ndarray, count: np.ndarray) -> dict[str, float]:
        parsed = (answer < len(grades)) & (count > 0)
        given = np.where(answer < len(grades), answer, farthest[truth])
        varied = len(np.unique(np.r_[truth[count > 0], given[count > 0]])) > 1  # kappa is 0 / 0 otherwise
        return {
            "quadratic_kappa": cohen_kappa_score(
                truth, given, labels=range(len(grades)), weights="quadratic", sample_weight=count
            )
            if varied
            else np.nan,
            "mean_absolute_error": mean_absolute_error(value[truth], value[given], sample_weight=count),
            "parsed_mean_absolute_error": mean_absolute_error(
                value[truth[parsed]], value[given[parsed]], sample_weight=count[parsed]
            )
            if parsed.any()
            else np.nan,
        }

    return statistic


def _match(names: pd.Series, classes: list[str]) -> pd.Series:
    return names.map(normalise).map({normalise(name): name for name in classes})
