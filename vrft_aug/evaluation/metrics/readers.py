"""Measures how often the policy agrees with each human reader, beside how often the readers agree with each other."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.row_columns import READER, names_of
from vrft_aug.evaluation.metrics.class_metrics import class_order, matched_answers
from vrft_aug.evaluation.metrics.confusion_metrics import METRICS
from vrft_aug.evaluation.metrics.group_sums import Share, interval, resampled_sums
from vrft_aug.evaluation.metrics.intervals import Metrics
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import BOX_TASKS

Codes = NDArray[np.integer]  # positions of classes; -1: no class of the reader; len(classes): no valid answer


def reader_metrics(task: str, rows: pd.DataFrame, rng: Generator, resamples: int) -> Metrics:
    """{"readers": {...}}, {} without columns reader_<name> and for boxes. rows: one per image, of one data source.

    policy: {reader: agreement on the images of this reader}. each_other: {reader: {other: their agreement on the images
    that both read, and under "policy" {reader: the policy's agreement on the same images}}}.
    An agreement: n, groups, agreement (share of equal classes), and for grades quadratic_kappa, where an answer that
    counts for nothing is the grade farthest from the reader's. Images that nobody read are in none.
    Raises InputError for a reader's word that is no class.
    """
    names = names_of(READER, rows.columns)
    if task in BOX_TASKS or not names:
        return {}
    classes = class_order(task, rows)
    position = {normalise(one): number for number, one in enumerate(classes)}
    answers = matched_answers(rows, classes).map(normalise).map(position).fillna(len(classes)).to_numpy(int)
    readers = {name: _codes(rows, name, position) for name in names}
    groups = rows["group_id"].to_numpy()

    def agreement(first: Codes, second: Codes, both: NDArray[np.bool_]) -> dict[str, Any]:
        return _agreement(first[both], second[both], groups[both], (task, len(classes)), rng, resamples)

    found: dict[str, Any] = {name: agreement(codes, answers, codes >= 0) for name, codes in readers.items()}
    pairs: dict[str, Any] = {}
    for one, other in combinations(names, 2):
        both = (readers[one] >= 0) & (readers[other] >= 0)
        policy = {name: agreement(readers[name], answers, both) for name in (one, other)}
        pairs.setdefault(one, {})[other] = agreement(readers[one], readers[other], both) | {"policy": policy}
    return {"readers": {"policy": found, "each_other": pairs}}


def _codes(rows: pd.DataFrame, name: str, position: dict[str, int]) -> Codes:
    given = rows[READER + name].fillna("")
    codes = given.map(normalise).map(position).where(given != "", -1)
    if codes.isna().any():
        row = rows[codes.isna()].iloc[0]
        raise InputError(f"image {row.source_id}: reader {name} gives {row[READER + name]!r}, which is not a class; "
                         "correct the data set's table and prepare again")
    return codes.to_numpy(int)


def _agreement(
    first: Codes, second: Codes, groups: NDArray, kind: tuple[str, int], rng: Generator, resamples: int
) -> dict[str, Any]:
    """kind: the task and the number of classes."""
    task, classes = kind
    facts: dict[str, Any] = {"n": len(first), "groups": len(np.unique(groups)), "agreement": None}
    if not len(first):
        return facts
    table = np.column_stack([first == second, np.ones(len(first))]).astype(float)
    if task == "grading":
        table = np.hstack([table, np.eye(classes * (classes + 1))[first * (classes + 1) + second]])
    sums = resampled_sums(table, groups, rng, resamples)
    share = Share(int((first == second).sum()), len(first), facts["groups"], sums[:, 0] / sums[:, 1])
    facts["agreement"] = share.quantity()
    if task == "grading":
        counts = np.vstack([table.sum(0), sums])[:, 2:].reshape(-1, classes, classes + 1)  # the first: of all images
        kappa = METRICS["quadratic_kappa"](counts)
        facts["quadratic_kappa"] = interval(kappa[0], kappa[1:])
    return facts
