"""Compares two cells of a table on the same test images and seeds: the difference of a metric, with its resamples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.resampled_metrics import (
    LOWER_IS_BETTER,
    OF_ANSWERS,
    OF_PROBABILITIES,
    metric_of_weights,
)
from vrft_aug.evaluation.metrics.seeds import PerSeed, Replicates, aligned, crossed, mean_of
from vrft_aug.evaluation.report.paper.paper_rows import Entry

# the column of a metric that has another name; "brier" alone is the Brier score of class probabilities
COLUMNS = {"accuracy": "acc", "thought_accuracy": "thought_right", "brier_reward": "brier"}
ANSWERS = ("prediction", "ground_truth", "rejected", "classes", "acc")
ALL_ANSWERS = {**dict.fromkeys(OF_ANSWERS, ANSWERS), **dict.fromkeys(OF_PROBABILITIES, (*ANSWERS, "probabilities"))}


class Difference(NamedTuple):
    """A metric of one cell minus that of another, on as many images and seeds."""

    replicates: Replicates
    images: int
    seeds: int


def difference(better: Entry, worse: Entry, metric: str = "accuracy", slice: str | None = None) -> Difference:
    """The mean difference over the seeds that both cells have; better minus worse.

    Of a metric whose small values are good (LOWER_IS_BETTER) it is worse minus better: always positive if `better` is
    the better one. slice: "<name>=<value>", the images that count; None: all.
    The resamples of cells of one data set draw the same images and seeds; those of other data sets draw independently.
    Raises InputError if they share no seed, their test images differ, or the predictions lack the metric or the slice.
    """
    pairs = {(id(one), id(other)): (one, other) for one, other in zip(better.runs, worse.runs, strict=True)
             if one and other}  # fmt: skip
    if not pairs:
        raise InputError("no seed has a run of both")
    runs = [run for pair in zip(*pairs.values(), strict=True) for run in pair]  # first all of `better`
    columns = ALL_ANSWERS.get(metric, (COLUMNS.get(metric, metric),))
    read = ["group_id", *columns, *([_column(slice)] if slice else [])]
    tables = aligned([one.evaluation.rows_on(one.dataset, read) for one in runs])
    tables = _of_slice(slice, tables) if slice else tables
    groups = tables[0]["group_id"].to_numpy()
    if metric in ALL_ANSWERS:
        statistic = _of_answers(metric, runs, tables)
    else:
        values = _numbers(columns[0], tables)
        known = ~np.isnan(values).all(1)
        groups, statistic = groups[known], mean_of(_gap(values[known]))
    found = crossed(statistic, groups, generator(0, f"claims {better.cell.dataset}"))
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return Difference(Replicates(sign * found.value, sign * found.resampled), len(groups), len(pairs))


def _of_answers(metric: str, runs: Sequence[Comparison], tables: Sequence[pd.DataFrame]) -> PerSeed:
    """better minus worse per seed, of a metric of all answers together."""
    found = []
    for run, table in zip(runs, tables, strict=True):
        disease = run.metrics.get("probabilities", {}).get("disease", ())
        found.append(metric_of_weights(metric, run.dataset.rpartition("/")[2], table, disease))
    return lambda weights: _gap(np.column_stack([one(weights) for one in found]))


def _column(slice: str) -> str:
    return f"slice_{slice.partition('=')[0]}"


def _of_slice(slice: str, tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The rows of the images in the slice, which the first table that has the column names."""
    column, value = _column(slice), slice.partition("=")[2]
    named = next((table[column].fillna("").astype(str) for table in tables if column in table), None)
    if named is None:
        raise InputError(f"the predictions have no column {column}; prepare and evaluate again with this slice")
    if not (chosen := named == value).any():
        known = ", ".join(sorted(set(named) - {""})) or "none"
        raise InputError(f"no test image has {slice}; the values are: {known}")
    return [table[chosen].reset_index(drop=True) for table in tables]


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
