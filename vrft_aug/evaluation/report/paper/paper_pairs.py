"""Compares two cells of a table on the same test images and seeds: the difference of a metric, with its resamples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.confusion_metrics import METRICS, metric_of_weights
from vrft_aug.evaluation.metrics.seeds import PerSeed, Replicates, aligned, crossed, mean_of
from vrft_aug.evaluation.report.paper.paper_rows import Entry

COLUMNS = {"accuracy": "acc", "thought_accuracy": "thought_right"}  # of a metric with another name than its column
ANSWERS = ("prediction", "ground_truth", "rejected", "classes", "acc")


class Difference(NamedTuple):
    """A metric of one cell minus that of another, on as many images and seeds."""

    replicates: Replicates
    images: int
    seeds: int


def difference(better: Entry, worse: Entry, metric: str = "accuracy") -> Difference:
    """The mean difference over the seeds that both cells have; better minus worse.

    The resamples of cells of one data set draw the same images and seeds; those of other data sets draw independently.
    Raises InputError if they share no seed, their test images differ, or the predictions lack the metric.
    """
    pairs = {(id(one), id(other)): (one, other) for one, other in zip(better.runs, worse.runs, strict=True)
             if one and other}  # fmt: skip
    if not pairs:
        raise InputError("no seed has a run of both")
    runs = [run for pair in zip(*pairs.values(), strict=True) for run in pair]  # first all of `better`
    columns = ANSWERS if metric in METRICS else (COLUMNS.get(metric, metric),)
    tables = aligned([one.evaluation.rows_on(one.dataset, ["group_id", *columns]) for one in runs])
    groups = tables[0]["group_id"].to_numpy()
    if metric in METRICS:
        statistic = _of_answers(metric, [one.dataset.rpartition("/")[2] for one in runs], tables)
    else:
        values = _numbers(columns[0], tables)
        known = ~np.isnan(values).all(1)
        groups, statistic = groups[known], mean_of(_gap(values[known]))
    rng = generator(0, f"claims {better.cell.dataset}")
    return Difference(crossed(statistic, groups, rng), len(groups), len(pairs))


def _of_answers(metric: str, tasks: Sequence[str], tables: Sequence[pd.DataFrame]) -> PerSeed:
    """better minus worse per seed, of a metric of all answers together."""
    found = [metric_of_weights(metric, task, table) for task, table in zip(tasks, tables, strict=True)]
    return lambda weights: _gap(np.column_stack([one(weights) for one in found]))


def _numbers(column: str, tables: Sequence[pd.DataFrame]) -> NDArray[np.float64]:
    """A number per image and run. Raises InputError if the predictions have none, or only some of the runs do."""
    if not all(column in table and pd.api.types.is_numeric_dtype(table[column]) for table in tables):
        raise InputError(f"the predictions have no numeric column {column}")
    values = np.column_stack([table[column].astype(float) for table in tables])
    absent = np.isnan(values)
    if absent.all() or (absent.any(1) != absent.all(1)).any():
        raise InputError(f"the predictions have no number in column {column}, or not for the same images")
    return values


def _gap(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first half of the columns, of `better`, minus the other half."""
    half = values.shape[1] // 2
    return values[:, :half] - values[:, half:]
