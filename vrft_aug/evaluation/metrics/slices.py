"""Measures the accuracy per slice (age, sex, site): intervals, the worst slice, the gap, and a test of differences.

The worst of several slices is bad by chance as well. So the gap has an interval that holds for all pairs of slices
together, and one test per column asks whether the accuracies differ at all.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.evaluation.answers.row_columns import SLICE, names_of
from vrft_aug.evaluation.metrics.group_sums import Floats, Share, divided, resampled_sums
from vrft_aug.evaluation.metrics.intervals import CONFIDENCE, Metrics, Quantity, estimate
from vrft_aug.evaluation.metrics.too_little import FEWEST

PERMUTATIONS = 2000
Labels = NDArray[np.int64]


def slice_metrics(rows: pd.DataFrame, rng: Generator, resamples: int) -> Metrics:
    """{"slices": {column: {...}}}, {} without columns slice_<name>. rows: one per image, of one data source and task.

    of: {value: {n, groups, accuracy, too_small}}; too_small: fewer than 10 images or groups, which are not compared.
    worst: of the compared values, the one with the lowest accuracy. gap: best minus worst accuracy, see `_gap`.
    p: of "all compared values have the same accuracy", see `difference_p`. These three are null if fewer than two
    values are compared. unknown: images without a value.
    """
    columns = {name: rows[SLICE + name].fillna("") for name in names_of(SLICE, rows.columns)}
    return {"slices": {name: _of_column(rows, values, rng, resamples) for name, values in columns.items()}} if columns \
        else {}


def _of_column(rows: pd.DataFrame, values: pd.Series, rng: Generator, resamples: int) -> dict[str, Any]:
    known = (values != "").to_numpy()
    facts: dict[str, Any] = {"of": {}, "worst": None, "gap": None, "p": None, "unknown": int((~known).sum())}
    if not known.any():
        return facts
    names, label = np.unique(values[known].to_numpy(str), return_inverse=True)
    right, groups = rows["acc"].to_numpy(float)[known], rows["group_id"].to_numpy()[known]
    shares = _shares(right, label, groups, rng, resamples)
    for name, share in zip(names.tolist(), shares, strict=True):
        few = min(share.n, share.groups) < FEWEST
        facts["of"][name] = {"n": share.n, "groups": share.groups, "accuracy": share.quantity(), "too_small": few}
    compared = np.array([not one["too_small"] for one in facts["of"].values()])
    if compared.sum() < 2:
        return facts
    kept = [share for share, keep in zip(shares, compared, strict=True) if keep]
    accuracy = [share.right / share.n for share in kept]
    facts["worst"] = names[compared][int(np.argmin(accuracy))].item()
    chosen = compared[label]
    p = difference_p(right[chosen], label[chosen], groups[chosen], rng)
    return facts | {"gap": _gap(kept), "p": p}


def _shares(right: Floats, label: Labels, groups: NDArray, rng: Generator, resamples: int) -> list[Share]:
    """The share of right answers of each label, from joint resamples: a patient may have images in two slices."""
    member = np.eye(label.max() + 1)[label]
    sums = resampled_sums(np.hstack([member * right[:, None], member]), groups, rng, resamples)
    hits, number = np.hsplit(sums, 2)
    return [Share(int(right[label == one].sum()), int((label == one).sum()), len(np.unique(groups[label == one])),
                  divided(hits[:, one], number[:, one])) for one in range(member.shape[1])]  # fmt: skip


def _gap(shares: list[Share]) -> Quantity:
    """Best minus worst accuracy, with an interval that holds for all pairs of slices together (95 %).

    Best and worst were chosen by their accuracy, so an interval for one pair alone would be too narrow. The max-t
    bootstrap (Romano and Wolf 2005, Econometrica 73, 1237-1282) takes the largest standardised error over all pairs of
    each resample. No deviation is below Agresti and Caffo's (2000, The American Statistician 54, 280-288), because in a
    slice whose answers are all right nothing varies.
    """
    value = np.array([share.right / share.n for share in shares])
    error = np.stack([share.resampled for share in shares]) - value[:, None]  # (slices, resamples)
    adjusted = np.array([[(share.right + 1) / (share.n + 2), share.n + 2] for share in shares])
    least = adjusted[:, 0] * (1 - adjusted[:, 0]) / adjusted[:, 1]
    best, worst = int(value.argmax()), int(value.argmin())
    largest = np.zeros(error.shape[1])
    for a, b in combinations(range(len(shares)), 2):
        apart = error[a] - error[b]
        deviation = np.sqrt(max(np.nanvar(apart), least[a] + least[b]))
        largest = np.fmax(largest, np.abs(apart) / deviation)
        if {a, b} == {best, worst}:
            chosen = deviation
    margin = np.quantile(largest, CONFIDENCE) * (chosen if best != worst else 0)
    gap = value[best] - value[worst]
    return estimate(gap, max(-1.0, gap - margin), min(1.0, gap + margin))


def difference_p(right: Floats, label: Labels, groups: NDArray, rng: Generator) -> float:
    """The p-value of "the accuracy is the same in all slices": a permutation test with the chi-square statistic.

    It permutes whole groups, as images of a patient are alike. Where all images of each group are in one slice, groups
    exchange their slices. Else groups of equal size exchange the slices of their images, in any order.
    right: 0 or 1 per image, (n,). label: the slice of each image, (n,).
    """
    shuffled = _shuffler(label, groups, rng)
    found = _chi_square(right, label)
    beyond = sum(_chi_square(right, shuffled()) >= found - 1e-9 for _ in range(PERMUTATIONS))
    return float((1 + beyond) / (1 + PERMUTATIONS))


def _chi_square(right: Floats, label: Labels) -> float:
    """Pearson's chi-square of right and wrong answers by slice, divided by a factor that no permutation changes."""
    number, hits = np.bincount(label), np.bincount(label, weights=right)
    present = number > 0
    return float(((hits[present] - number[present] * right.mean()) ** 2 / number[present]).sum())


def _shuffler(label: Labels, groups: NDArray, rng: Generator) -> Callable[[], Labels]:
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(group_of_row, kind="stable")
    starts = np.cumsum(sizes) - sizes
    of_group = label[order][starts]
    if (of_group[group_of_row] == label).all():
        return lambda: rng.permutation(of_group)[group_of_row]
    blocks = [order[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes)]

    def exchanged() -> Labels:
        moved = label.copy()
        for block in blocks:  # (groups, size)
            moved[block] = rng.permuted(label[rng.permutation(block)], axis=1)
        return moved

    return exchanged
