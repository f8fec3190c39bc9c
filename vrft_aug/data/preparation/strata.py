"""Draws samples class by class: a given number of each, or a total that keeps the shares of the classes."""

import numpy as np
from numpy.typing import NDArray

from vrft_aug.errors import InputError

Ints = NDArray[np.int64]
Positions = Ints  # places in the order of the samples, ascending


def per_class(labels: Ints, classes: int) -> Ints:
    """Samples per class, (classes,). Samples without a label (-1) do not count."""
    return np.bincount(labels[labels >= 0], minlength=classes)


def draw(labels: Ints, wanted: Ints, rng: np.random.Generator) -> Positions:
    """Positions of wanted[c] samples of each class c. From the same `rng`, 20 shots contain the 10 shots."""
    chosen = [np.empty(0, np.int64)]  # a split may have no sample
    for label, number in enumerate(wanted.tolist()):
        members = np.flatnonzero(labels == label)
        if number > len(members):
            raise InputError(f"class {label} has {len(members)} samples, but {number} are wanted; add some")
        chosen.append(rng.permutation(members)[:number])
    return np.sort(np.concatenate(chosen))


def bounded_draw(labels: Ints, each: int | None, total: int | None, rng: np.random.Generator) -> Positions:
    """At most `each` samples of every class and at most `total` in all; None: no bound.

    Samples without a label (-1) are a class of their own. Of each class, a smaller draw is part of a larger one.
    """
    classes = labels + 1
    counts = np.bincount(classes)
    if each is not None:
        counts = np.minimum(counts, each)
    return draw(classes, counts if total is None else share_out(counts, total), rng)


def share_out(counts: Ints, total: int) -> Ints:
    """`total` divided among the classes in proportion to `counts` (largest remainder); `counts` if they sum to less.

    Every class with samples gets at least one, unless there are more such classes than `total`.
    """
    if counts.sum() <= total:
        return counts
    given = counts * total // counts.sum()
    if np.count_nonzero(counts) <= total:
        given = np.maximum(given, counts > 0)
    while (missing := total - given.sum()) != 0:
        owed = counts * total - given * counts.sum()  # integers: no rounding decides a tie, the first class does
        given[owed.argmax() if missing > 0 else np.where(given > 1, owed, owed.max() + 1).argmin()] += np.sign(missing)
    return given


def even_out(counts: Ints, total: int) -> Ints:
    """`total` divided equally among the classes; what a small class lacks goes to the larger ones, from the first on.

    It is `counts` if they sum to `total` or less.
    """
    if counts.sum() <= total:
        return counts
    sums = [np.minimum(counts, level).sum() for level in range(counts.max() + 1)]
    level = int(np.searchsorted(sums, total, "right")) - 1  # the largest number of each that is not too many
    more = np.flatnonzero(counts > level)[: total - sums[level]]
    given = np.minimum(counts, level)
    given[more] += 1
    return given
