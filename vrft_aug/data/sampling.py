"""Which samples make a split: k-shot draws, the paper's test rule, and splits that keep a group together."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vrft_aug.errors import InputError

Ints = NDArray[np.int64]
PAPER_CAP = 256  # images a class in the paper's largest setting


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers that depend on the seed and on what they are for, and on nothing drawn before."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


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


def split_by_group(labels: Sequence[int], groups: Sequence[str], test: float, val: float, seed: int) -> list[str]:
    """Split of each sample: per class, whole groups in random order, as near to the shares of test and val as they go.

    A group of several classes goes where its first sample's class sends it.
    """
    first = {group: i for i, group in reversed(list(enumerate(groups)))}
    sizes: dict[str, int] = dict.fromkeys(first, 0)
    for group in groups:
        sizes[group] += 1
    home: dict[str, str] = {}
    rng = generator(seed, "split")
    for label in sorted(set(labels)):
        members = sorted(group for group, i in first.items() if labels[i] == label)
        total = sum(sizes[group] for group in members)
        room = {"test": test * total, "val": val * total, "train": float("inf")}
        for j in rng.permutation(len(members)):
            size = sizes[members[j]]
            home[members[j]] = next(split for split in room if size / 2 <= room[split])
            room[home[members[j]]] -= size
    return [home[group] for group in groups]
