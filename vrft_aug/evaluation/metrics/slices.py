"""Measures the accuracy per slice (age, sex, site): intervals, the worst slice, the gap, and a test of differences.

The worst of several slices is bad by chance as well. So the gap has an interval that holds for all pairs of slices
together, and one test per column asks whether the accuracies differ at all.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm, random_table

from vrft_aug.evaluation.answers.row_columns import SLICE, names_of
from vrft_aug.evaluation.metrics.group_sums import Floats, Share, divided, resampled_sums
from vrft_aug.evaluation.metrics.intervals import CONFIDENCE, Metrics, Quantity, estimate
from vrft_aug.evaluation.metrics.question_metrics import option_chances
from vrft_aug.evaluation.metrics.too_little import FEWEST
from vrft_aug.rewards.parsing import QUESTION

PERMUTATIONS = 2000
Labels = NDArray[np.int64]


def slice_metrics(rows: pd.DataFrame, rng: Generator, resamples: int) -> Metrics:
    """{"slices": {column: {...}}}, {} without columns slice_<name>. rows: one per image, of one data source and task.

    of: {value: {n, groups, accuracy, too_small}}, of questions with option_chance (question_metrics.py); too_small:
    fewer than 10 images or groups, which are not compared.
    worst: of the compared values, the first with the lowest accuracy. gap: best minus worst accuracy, see `_gap`.
    p: of "all compared values have the same accuracy", see `difference_p`. These three are null if fewer than two
    values are compared. unknown: images without a value.
    """
    columns = {name: rows[SLICE + name].fillna("") for name in names_of(SLICE, rows.columns)}
    chances = option_chances(rows) if columns and rows["task"].iloc[0] == QUESTION else None
    found = {name: _of_column(rows, values, rng, resamples, chances) for name, values in columns.items()}
    return {"slices": found} if found else {}


def _of_column(
    rows: pd.DataFrame, values: pd.Series, rng: Generator, resamples: int, chances: Floats | None
) -> dict[str, Any]:
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
        if chances is not None:
            facts["of"][name]["option_chance"] = estimate(float(chances[known][label == len(facts["of"]) - 1].mean()))
    compared = np.array([not one["too_small"] for one in facts["of"].values()])
    if compared.sum() < 2:
        return facts
    kept = [share for share, keep in zip(shares, compared, strict=True) if keep]
    facts["worst"] = names[compared][int(np.argmin([share.right / share.n for share in kept]))].item()
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
    each resample. No deviation is below Agresti and Caffo's (2000, The American Statistician 54, 280-288), and no
    critical value below the normal one, because in a slice whose answers are all right nothing varies.
    """
    value = np.array([share.right / share.n for share in shares])
    error = np.stack([share.resampled for share in shares]) - value[:, None]  # (slices, resamples)
    adjusted = np.array([[(share.right + 1) / (share.n + 2), share.n + 2] for share in shares])
    least = adjusted[:, 0] * (1 - adjusted[:, 0]) / adjusted[:, 1]
    best, *_, worst = np.argsort(-value, kind="stable")
    largest = np.zeros(error.shape[1])
    for a, b in combinations(range(len(shares)), 2):
        apart = error[a] - error[b]
        deviation = np.sqrt(max(np.nanvar(apart), least[a] + least[b]))
        largest = np.fmax(largest, np.abs(apart) / deviation)
        if {a, b} == {best, worst}:
            chosen = deviation
    margin = chosen * max(np.quantile(largest, CONFIDENCE), norm.ppf((1 + CONFIDENCE) / 2))
    gap = value[best] - value[worst]
    return estimate(gap, max(-1.0, gap - margin), min(1.0, gap + margin))


def difference_p(right: Floats, label: Labels, groups: NDArray, rng: Generator) -> float:
    """The p-value of "the accuracy is the same in all slices": a permutation test with the chi-square statistic.

    It permutes whole groups, as images of a patient are alike. Where all images of each group are in one slice, groups
    exchange their slices. Else groups of equal size exchange the slices of their images, in any order.
    right: 0 or 1 per image, (n,). label: the slice of each image, (n,).
    """
    _, label = np.unique(label, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    right, label = right[order], label[order]
    if (np.repeat(label[starts], sizes) == label).all():
        hits, number = _exchanged_groups(np.add.reduceat(right, starts), sizes, label[starts], rng)
    else:
        hits, number = _exchanged_images(right, label, [starts[sizes == size][:, None] + np.arange(size)
                                                        for size in np.unique(sizes)], rng)  # fmt: skip
    found, *permuted = _chi_square(np.vstack([np.bincount(label, right), hits]),
                                   np.vstack([np.bincount(label), number]))  # fmt: skip
    return float((1 + np.sum(np.array(permuted) >= found - 1e-9)) / (1 + PERMUTATIONS))


def _chi_square(hits: Floats, number: Floats) -> Floats:
    """Pearson's chi-square of right and wrong answers by slice, over a factor that no permutation changes.

    hits, number: right answers and images per slice, (permutations, slices).
    """
    mean = hits.sum(1, keepdims=True) / number.sum(1, keepdims=True)
    return ((hits - number * mean) ** 2 / number).sum(1)


def _exchanged_groups(right: Floats, size: Labels, label: Labels, rng: Generator) -> tuple[Floats, Floats]:
    """Right answers and images per slice in each permutation. right, size, label: of each group.

    Groups with as many images and right answers are alike, so a permutation is a random table of kinds by slices.
    """
    kinds, number = np.unique(np.column_stack([right, size]), axis=0, return_counts=True)
    slices = np.bincount(label)
    if len(kinds) == 1:  # no permutation changes anything; scipy 1.17 draws wrong tables of one row
        tables = np.broadcast_to(slices, (PERMUTATIONS, 1, len(slices)))
    else:
        tables = random_table(number, slices).rvs(PERMUTATIONS, random_state=rng)
    hits, images = np.moveaxis(np.einsum("pks,kc->psc", tables, kinds), 2, 0)
    return hits, images


def _exchanged_images(right: Floats, label: Labels, blocks: list[Labels], rng: Generator) -> tuple[Floats, Floats]:
    """The same where images of a group are in several slices. blocks: per size of groups, their images, (groups, size).
    """
    hits, number = np.empty((2, PERMUTATIONS, label.max() + 1))
    for row in range(PERMUTATIONS):
        moved = label.copy()
        for block in blocks:
            moved[block] = rng.permuted(label[rng.permutation(block)], axis=1)
        hits[row], number[row] = np.bincount(moved, right), np.bincount(moved)
    return hits, number
