"""Bootstraps over seeds and images together: how certain is the mean of several trainings on the same test images?

A resample draws the seeds with replacement, and the groups of images (patients, lesions) with replacement, the same for
all seeds. Seeds and images are crossed factors, so this is the pigeonhole bootstrap: Owen 2007, Annals of Applied
Statistics 1(2), 386-411; Owen and Eckles 2012, ibid. 6(3), 895-927. Its variance is about

    (1 - 1/S) V_seed / S  +  (1 - 1/G) V_image / G  +  3 V_both / (S G)        S seeds, G groups

so it counts what is peculiar to one seed on one image three times (too careful), and the spread between few seeds too
little: of three seeds only two thirds. If nothing but the seed mattered, all of three seeds would agree in their sign
by chance in one case of four. With one seed it is the bootstrap over groups of intervals.py, number for number.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import CONFIDENCE, Quantity, estimate

RESAMPLES = 2000
CHUNK = 100  # resamples at a time: the weights of TissueMNIST's 47,280 test images take 38 MB
Floats = NDArray[np.float64]
PerSeed = Callable[[Floats], Floats]  # weights of the rows, (resamples, n) -> a number per seed, (resamples, seeds)


class Replicates(NamedTuple):
    """A number and what it would have been in each resample; NaN where undefined."""

    value: float
    resampled: Floats

    def interval(self) -> Quantity:
        """The 95 % percentile interval."""
        found = self.resampled[np.isfinite(self.resampled)]
        if not np.isfinite(self.value) or not found.size:
            return estimate(None)
        return estimate(self.value, *np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))

    def p(self) -> float:
        """Two-sided p-value of "the number is 0": 1 minus the confidence of the percentile interval that ends at 0."""
        found = self.resampled[np.isfinite(self.resampled)]
        beyond = 1 + min((found <= 0).sum(), (found >= 0).sum())
        return float(min(1.0, 2 * beyond / (1 + found.size)))


class Spread(NamedTuple):
    """A number over several seeds: its mean with the interval over seeds and images, and its standard deviation."""

    mean: Quantity
    deviation: float
    values: tuple[float, ...]


def crossed(statistic: PerSeed, groups: NDArray, rng: Generator, resamples: int = RESAMPLES) -> Replicates:
    """The mean over seeds of a statistic, with its resamples. groups: the group of each row, shape (n,)."""
    names, group_of_row = np.unique(groups, return_inverse=True)
    values = statistic(np.ones((1, len(groups))))
    resampled = [
        _mean(statistic(images[:, group_of_row].astype(float)), seeds)
        for images, seeds in _draws(len(names), values.shape[1], rng, resamples)
    ]
    return Replicates(float(values.mean()), np.concatenate(resampled))


def _draws(groups: int, seeds: int, rng: Generator, resamples: int) -> Iterator[tuple[NDArray, NDArray]]:
    """How often each group and each seed is drawn, (resamples, groups) and (resamples, seeds), a chunk at a time."""
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        images = rng.multinomial(groups, np.full(groups, 1 / groups), size)
        yield images, rng.multinomial(seeds, np.full(seeds, 1 / seeds), size) if seeds > 1 else np.ones((size, 1))


def _mean(values: Floats, drawn: NDArray) -> Floats:
    """Mean over the drawn seeds; a seed that is not drawn may be undefined."""
    return np.where(drawn > 0, values * drawn, 0).sum(1) / drawn.sum(1)


def mean_of(columns: Floats) -> PerSeed:
    """The weighted mean of each column; columns: a number per row and seed, (n, seeds)."""
    return lambda weight: weight @ columns / weight.sum(1, keepdims=True)


def spread(columns: Floats, groups: NDArray, rng: Generator) -> Spread:
    """Mean and spread of the columns' means; columns: a number per row and seed, (n, seeds)."""
    values = tuple(columns.mean(0).tolist())
    return Spread(crossed(mean_of(columns), groups, rng).interval(), float(np.std(values, ddof=1)), values)


def aligned(runs: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The runs with their rows in the order of source_id. Raises InputError unless all are of the same test images."""
    tables = [run.sort_values("source_id", ignore_index=True) for run in runs]
    for table in tables:
        if table["source_id"].duplicated().any():
            twice = table["source_id"][table["source_id"].duplicated()].iloc[0]
            raise InputError(f"image {twice} occurs twice in a run")
        for key in ("source_id", "group_id"):
            if not np.array_equal(table[key], tables[0][key]):
                raise InputError("the runs are not of the same test images; evaluate all on the same rows")
    return tables
