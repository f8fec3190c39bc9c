"""Computes metrics from scored predictions: accuracy with the constant predictor, balanced metrics and intervals.

Columns of a predictions table, one row per response:
    data_source, task (one of rewards/parsing.py), source_id, group_id: str;
    prediction: str, "" if the response has no answer; ground_truth: str; boxes are JSON lists in original pixels;
    rejected: str, why the answer was rejected, "" if it was accepted; acc: 0.0 or 1.0;
    classes: list[str], the classes in the prompt (not read for boxes);
    format: 0.0 or 1.0, response_length: int, tokens, and response: str (all optional);
    slice_<name>: str, a slice that the image is in, and reader_<name>: str, a human reader's class; "" where unknown;
    findings: str, and thought_right: 0.0, 1.0, or null without findings (both optional);
    probabilities: list[float], of the row's classes in their order, null where there are none; vote_shares: likewise,
    the share of the prompt's samples that gave each class (both optional);
    form: str, what the prompt asks for (parsing.FORMS), and stated_confidence: float, null if none (both optional);
    sample: int, and vote: bool, only if a prompt has several responses: metrics are computed from the rows with vote.
Every other numeric column except index is a part of the objective: its mean is reported under "parts".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.box_metrics import box_statistic, box_votes, overlaps
from vrft_aug.evaluation.metrics.class_metrics import class_metrics, class_order, matched_answers
from vrft_aug.evaluation.metrics.detection_metrics import detection_statistic
from vrft_aug.evaluation.metrics.intervals import (
    Metrics,
    Quantity,
    Statistic,
    bootstrap,
    merged,
    number,
    weighted_means,
    wilson,
)
from vrft_aug.evaluation.metrics.lenient import meant
from vrft_aug.evaluation.metrics.probability_metrics import probability_metrics
from vrft_aug.evaluation.metrics.question_metrics import chosen_options, option_statistic
from vrft_aug.evaluation.metrics.readers import reader_metrics
from vrft_aug.evaluation.metrics.slices import slice_metrics
from vrft_aug.evaluation.metrics.stated import stated_metrics
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

REQUIRED = ["data_source", "task", "source_id", "group_id", "prediction", "ground_truth", "rejected", "acc"]
NOT_A_PART = ["index", "acc", "response_length", "sample", "thought_right", "stated_confidence"]


def measure(
    predictions: pd.DataFrame, seed: int = 0, resamples: int = 2000, disease: Sequence[str] | None = None
) -> dict[str, Metrics]:
    """All metrics of each data source and task, as JSON can hold them; a quantity is {"value", "low", "high"} (95 %).

    The intervals of `accuracy`, `lenient_accuracy`, `thought_accuracy` and `majority` are Wilson's; all others come
    from a bootstrap that resamples groups.
    If images share groups, Wilson's interval is too narrow: quote `accuracy_grouped` (bootstrap) instead. It is null if
    every row has its own group. Undefined quantities are null.

    predictions: see the module's docstring. resamples: of the bootstrap. disease: the classes of the data set that are
    a disease, for the sensitivity. The same predictions and seed give the same numbers.
    Returns {"<data_source>/<task>": {...}}; keys in `_measure_one`.
    Raises InputError for a missing column, no rows, or a row that contradicts itself.
    """
    if missing := [column for column in REQUIRED if column not in predictions]:
        raise InputError(f"predictions lack the columns {', '.join(missing)}; write them with recipes/evaluate.py")
    if predictions.empty:
        raise InputError("predictions have no rows; evaluate a parquet that is not empty")
    if not predictions["acc"].isin([0, 1]).all():
        raise InputError("predictions: acc must be 0 or 1 in every row; 1 is a right answer")
    return {
        f"{source}/{task}": _measure_one(str(task), rows, disease or (), np.random.default_rng(seed), resamples)
        for (source, task), rows in predictions.groupby(["data_source", "task"], sort=True)
    }


def _measure_one(
    task: str, responses: pd.DataFrame, disease: Sequence[str], rng: np.random.Generator, resamples: int
) -> Metrics:
    """The metrics of one data source and task.

    Every task: n, groups, accuracy, accuracy_grouped, unparseable (share of rows without an accepted answer),
    most_frequent {prediction, share: {...}}, format (null without such a column), rejected {reason: count},
    parts {name: mean over the rows that have it}, response_length (mean, tokens), and, null without a vote, samples
    {n: per prompt, accuracy: of all samples, any_right: share of the prompts with at least one right sample}.
    Only of rows with findings, and absent if there are none: thought_accuracy, the share whose thought names them.
    Absent without such columns: slices (slices.py), readers (readers.py), stated confidences (stated.py).
    Classification and grading: see `class_metrics`, and lenient_accuracy (null without a column response): an answer
    that the rewards reject counts as what it meant (lenient.py). Localization: mean_iou and recall_50 (share of
    IoU >= 0.5). Detection: see `detection_statistic`. Questions: lenient_accuracy, and option_chance
    (question_metrics.py); they have no classes in common, so nothing else of `class_metrics`.
    Absent without such columns: probabilities and votes, from class probabilities and from vote shares
    (probability_metrics.py); of boxes votes with several samples (box_metrics.py).
    """
    rows = votes(responses).reset_index(drop=True)
    facts: dict[str, Any] = {}
    if task in BOX_TASKS:
        answers = rows["prediction"].where(rows["rejected"] == "", "")
    if task == "localization":
        overlap = overlaps(rows["ground_truth"], answers)
        statistic = box_statistic(overlap)
    elif task == "detection":
        statistic = detection_statistic(rows["ground_truth"], answers)
    else:
        if task == QUESTION:
            answers, statistic = chosen_options(rows), option_statistic(rows)
        else:
            classes = class_order(task, rows)
            answers = matched_answers(rows, classes)
            facts, statistic = class_metrics(task, classes, rows["ground_truth"], answers)
        facts["lenient_accuracy"] = _lenient_accuracy(task, rows, answers)
    favourite = min(answers[answers != ""].mode(), default=None)
    shares = _share_statistic(rows, answers, favourite)
    intervals: dict[str, Quantity | None] = {}
    intervals |= bootstrap(merged([shares, statistic]), rows["group_id"].to_numpy(), rng, resamples)
    common = _facts(rows)
    if common["groups"] == common["n"]:
        intervals["accuracy_grouped"] = None
    most_frequent = {"prediction": favourite, "share": intervals.pop("most_frequent")}
    recall = {key.removeprefix("recall/"): intervals.pop(key) for key in list(intervals) if key.startswith("recall/")}
    metrics = {**common, "samples": _samples(responses), **intervals, "most_frequent": most_frequent, **facts}
    metrics |= ({"recall": recall} if recall else {}) | _thought_accuracy(rows)
    metrics |= slice_metrics(rows, rng, resamples) | reader_metrics(task, rows, rng, resamples)
    metrics |= stated_metrics(rows, rng, resamples)
    if task == "localization":
        boxes = box_votes(responses, rows, overlap, rng, resamples) if "vote" in responses else None
        return metrics | ({"votes": boxes} if boxes else {})
    blocks = {"probabilities": "probabilities", "votes": "vote_shares"}
    scored = {key: probability_metrics(task, rows, column, disease, rng, resamples) for key, column in blocks.items()}
    return metrics | {key: found for key, found in scored.items() if found}


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


def _thought_accuracy(rows: pd.DataFrame) -> dict[str, Quantity]:
    known = rows["thought_right"].dropna() if "thought_right" in rows else pd.Series(dtype=float)
    return {} if known.empty else {"thought_accuracy": wilson(int(known.sum()), len(known))}


def _lenient_accuracy(task: str, rows: pd.DataFrame, answers: pd.Series) -> Quantity | None:
    if "response" not in rows:
        return None
    rejected = rows[answers == ""]
    asked = rejected["form"] if "form" in rows else [None] * len(rejected)
    columns = zip(rejected["response"], rejected["classes"], rejected["ground_truth"], asked, strict=True)
    right = sum(
        normalise(meant(response, {"task": task, "classes": list(classes), "form": form}) or "") == normalise(truth)
        for response, classes, truth, form in columns
    )
    return wilson(int(rows["acc"].sum()) + right, len(rows))


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
    return weighted_means({name: column.to_numpy(float) for name, column in columns.items()})
