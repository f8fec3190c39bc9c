"""Draws k samples per class, and counts the paper's test sets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vrft_aug.errors import InputError

Ints = NDArray[np.int64]
PAPER_CAP = 256  # images a class in the paper's largest setting


def count(labels: Ints, classes: int) -> Ints:
    """Samples a class, (classes,); unlabelled samples (-1) are left out."""
    return np.bincount(labels[labels >= 0], minlength=classes)


def paper_test_counts(train_counts: Sequence[int]) -> list[int]:
    """Test images a class behind the paper's sub-sampled test sets: floor(min(256, n_train) / 4)."""
    return [min(PAPER_CAP, int(n)) // 4 for n in train_counts]


def draw(labels: Ints, wanted: Sequence[int], rng: np.random.Generator) -> Ints:
    """Positions, ascending, of wanted[c] samples of each class c. With one generator state, 10 shots lie within 20."""
    chosen = []
    for label, number in enumerate(wanted):
        members = np.flatnonzero(labels == label)
        if number > len(members):
            raise InputError(f"class {label} has {len(members)} samples, {number} were asked for")
        chosen.append(rng.permutation(members)[:number])
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def shots_wanted(
    counts: Sequence[int], shots: int, up_to: int, classes: Sequence[str], present_only: bool = False
) -> list[int]:
    """Samples to draw of each class. `shots == up_to` reads "up to k", as the paper's 256; any other k must fit.

    present_only: a class without any sample is no error.
    """
    if shots < 1:
        raise InputError(f"shots={shots}: at least one image a class, or shots=null for all")
    for number, name in sorted(zip(counts, classes, strict=True)):  # the smallest class first: it sets the limit
        if number < shots != up_to and not (present_only and number == 0):
            remedy = f"shots={min(c for c in counts if c)} or less, or up_to={shots} to take smaller classes whole"
            raise InputError(f"shots={shots}: class '{name}' has {number} training images; use {remedy}")
    return [min(shots, int(number)) for number in counts]
