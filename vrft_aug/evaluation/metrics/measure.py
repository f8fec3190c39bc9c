"""Predictions -> metrics. Beside each accuracy stand the constant predictor, balanced metrics and intervals.

Columns read from a predictions table, one row a response:
    data_source, task ("classification" | "grading" | "localization"), source_id, group_id: str;
    prediction: str, "" when the response has no answer; ground_truth: str; boxes are JSON lists in original pixels;
    rejected: str, why the answer was rejected, "" when accepted; acc: 0.0 or 1.0;
    classes: list[str], the classes offered (not read for localization);
    format: 0.0 or 1.0, and response_length: int, tokens (both optional);
    sample: int, and vote: bool, where a prompt has several responses: the metrics are those of the rows with the vote;
    any other numeric column but index is a part of the objective: its mean is reported under "parts".
"""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.class_metrics import class_metrics, class_order, matched_answers
from vrft_aug.evaluation.metrics.intervals import bootstrap, number, wilson
from vrft_aug.rewards.iou import iou, read_box

REQUIRED = ["data_source", "task", "source_id", "group_id", "prediction", "ground_truth", "rejected", "acc"]
NOT_A_PART = ["index", "acc", "response_length", "sample"]
IOU_THRESHOLD = 0.5
Statistic = Callable[[np.ndarray], dict[str, float]]


def measure(predictions: pd.DataFrame, seed: int = 0, resamples: int = 1000) -> dict[str, dict]:
    """All metrics of each data source and task, as JSON-able values; a quantity is {"value", "low", "high"} (95 %).

    The intervals of `accuracy` and `majority` are Wilson's, all others percentile bootstraps that resample groups.
    When images share groups Wilson's interval is too narrow, and `accuracy_grouped` (bootstrap) is the one to quote;
    it is null when every row is its own group. Undefined quantities are null.

    Args:
        predictions: see the module's docstring.
        seed: of the bootstrap; the same predictions and seed give the same numbers.
        resamples: number of bootstrap resamples; they cost the same whatever the size of the set.
    Returns:
        {"<data_source>/<task>": {...}}; keys in `_measure_one`.
    Raises:
        InputError: a missing column, no rows, or a row that contradicts itself.
    """
    if missing := [column for column in REQUIRED if column not in predictions]:
        raise InputError(f"predictions lack the columns {', '.join(missing)}; write them with recipes/evaluate.py")
    if predictions.empty:
        raise InputError("predictions hold no rows; evaluate a parquet that is not empty")
    if not predictions["acc"].isin([0, 1]).all():
        raise InputError("predictions: acc must be 0 or 1 in every row; it is the exact correctness of an answer")
    return {
        f"{source}/{task}": _measure_one(task, rows, np.random.default_rng(seed), resamples)
        for (source, task), rows in predictions.groupby(["data_source", "task"], sort=True)
    }


def _measure_one(task: str, responses: pd.DataFrame, rng: np.random.Generator, resamples: int) -> dict:
    """One data source and task.

    Every task: n, groups, accuracy, accuracy_grouped, unparseable (share of rows without an accepted answer),
    most_frequent {prediction, share: {...}}, format (null without such a column), rejected {reason: count},
    parts {name: mean over the rows that have it}, response_length (mean, tokens),
    samples {n, accuracy: of single samples, any_right: share of the prompts with a right sample}, null without a vote.
    Classification and grading: see `class_metrics`. Localization: mean_iou and recall_50 (share of IoU >= 0.5).
    """
    rows = votes(responses).reset_index(drop=True)
    if task == "localization":
        answers = rows["prediction"].where(rows["rejected"] == "", "")
        facts, statistic = {}, _box_statistic(rows["ground_truth"], answers)
    else:
        classes = class_order(task, rows)
        answers = matched_answers(rows, classes)
        facts, statistic = class_metrics(task, classes, rows["ground_truth"], answers)
    favourite = min(answers[answers != ""].mode(), default=None)
    shares = _share_statistic(rows, answers, favourite)
    intervals = bootstrap(lambda w: shares(w) | statistic(w), rows["group_id"].to_numpy(), rng, resamples)
    common = _facts(rows)
    if common["groups"] == common["n"]:
        intervals["accuracy_grouped"] = None
    favourite = {"prediction": favourite, "share": intervals.pop("most_frequent")}
    recall = {key.removeprefix("recall/"): intervals.pop(key) for key in list(intervals) if key.startswith("recall/")}
    metrics = {**common, "samples": _samples(responses), **intervals, "most_frequent": favourite, **facts}
    return metrics | ({"recall": recall} if recall else {})


def _facts(rows: pd.DataFrame) -> dict:
    parts = rows.select_dtypes("number").drop(columns=NOT_A_PART, errors="ignore").mean()
    reasons = rows.loc[rows["rejected"] != "", "rejected"].value_counts().sort_index()
    return {
        "n": len(rows),
        "groups": int(rows["group_id"].nunique()),
        "accuracy": wilson(int(rows["acc"].sum()), len(rows)),
        "rejected": {reason: int(count) for reason, count in reasons.items()},
        "parts": {name: number(mean) for name, mean in parts.dropna().items()},
        "response_length": number(rows["response_length"].mean()) if "response_length" in rows else None,
    }


def _samples(responses: pd.DataFrame) -> dict | None:
    if "vote" not in responses:
        return None
    right = responses.groupby("source_id")["acc"]
    facts = {"accuracy": number(responses["acc"].mean()), "any_right": number(right.max().mean())}
    return {"n": len(responses) // right.ngroups, **facts}


def _share_statistic(rows: pd.DataFrame, answers: pd.Series, favourite: str | None) -> Statistic:
    columns = {
        "accuracy_grouped": rows["acc"],
        "unparseable": answers == "",
        "most_frequent": answers == favourite,
        "format": rows["format"] if "format" in rows else pd.Series(np.nan, rows.index),
    }
    table = np.stack([column.to_numpy(float) for column in columns.values()])
    return lambda weight: dict(zip(columns, table @ weight / weight.sum(), strict=True))


def _box_statistic(truth: pd.Series, answers: pd.Series) -> Statistic:
    """Of the IoU of each box with the truth, 0 where there is no box."""
    overlap = [iou(json.loads(box), read_box(true)) if box else 0.0 for box, true in zip(answers, truth, strict=True)]
    table = np.stack([np.array(overlap), np.greater_equal(overlap, IOU_THRESHOLD)])
    return lambda weight: dict(zip(["mean_iou", "recall_50"], table @ weight / weight.sum(), strict=True))
