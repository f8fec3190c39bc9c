"""Computes the metrics of classification and grading. An unparseable answer has its own column and is never right."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import Statistic, wilson
from vrft_aug.rewards.parsing import normalise

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
    """Two facts about the answers, and a statistic of row weights (shape (n,)) for the bootstrap.

    Facts: majority {class, value, low, high} is the accuracy of the constant predictor, which always gives the most
    frequent class of this test set. confusion {classes, columns, counts} has a row per ground truth and a column per
    answer; the last column counts the unparseable answers.
    Statistics: chance is the expected accuracy if the same answers were given to the images at random, the sum of
    p(answer) p(label); a policy that ignores its images reaches it. balanced_accuracy and macro_f1 are means over the
    classes that occur in the test set. recall/<class> is undefined if the class has no image.
    Grading also has quadratic_kappa and mean_absolute_error (in grades). In both, an unparseable answer counts as the
    grade farthest from the ground truth: to leave it out would reward silence. parsed_mean_absolute_error does so.
    """
    n = len(classes)
    columns = [*classes, UNPARSEABLE]
    code = {name: position for position, name in enumerate(columns)} | {"": n}
    true, answer = (_match(truth, classes).map(code).to_numpy(int), answers.map(code).to_numpy(int))
    counts = confusion_matrix(true, answer, labels=range(n + 1))[:n]
    majority = int(counts.sum(1).argmax())
    facts = {
        "majority": {"class": classes[majority], **wilson(int(counts.sum(1)[majority]), len(true))},
        "confusion": {"classes": classes, "columns": columns, "counts": counts.tolist()},
    }
    # Every metric depends only on the confusion matrix, so a resample costs O(classes ** 2).
    cell_truth, cell_answer = np.divmod(np.arange(n * (n + 1)), n + 1)
    grades = _grade_statistic([int(name) for name in classes]) if task == "grading" else lambda *_: {}

    def statistic(weight: np.ndarray) -> dict[str, float]:
        count = np.bincount(true * (n + 1) + answer, weights=weight, minlength=n * (n + 1))
        share = count.reshape(n, n + 1) / count.sum()
        with config_context(assume_finite=True, skip_parameter_validation=True):  # checks take half of the time
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
    value, labels = np.array(grades), range(len(grades))
    farthest = np.where(value - value.min() >= value.max() - value, 0, len(grades) - 1)

    def statistic(truth: np.ndarray, answer: np.ndarray, count: np.ndarray) -> dict[str, float]:
        parsed = (answer < len(grades)) & (count > 0)
        given = np.where(answer < len(grades), answer, farthest[truth])
        error = np.abs(value[truth] - value[given])
        kappa = parsed_error = np.nan
        if len(np.unique(np.r_[truth[count > 0], given[count > 0]])) > 1:  # kappa is 0 / 0 otherwise
            kappa = cohen_kappa_score(truth, given, labels=labels, weights="quadratic", sample_weight=count)
        if parsed.any():
            parsed_error = np.average(error[parsed], weights=count[parsed])
        mean_error = np.average(error, weights=count)
        return {"quadratic_kappa": kappa, "mean_absolute_error": mean_error, "parsed_mean_absolute_error": parsed_error}

    return statistic


def _match(names: pd.Series, classes: list[str]) -> pd.Series:
    return names.map(normalise).map({normalise(name): name for name in classes})
