"""Draws tasks of phantoms with several images: what tells the diseases apart is divided between two of them.

A disease is a pair of findings, one of two for the first half of the images and one of two for the second half. So two
diseases share what each half shows, and one half alone leaves two of the four diseases open.
"""

from itertools import product

import numpy as np

from vrft_aug.data.phantoms.findings import HELD_OUT, Finding, words
from vrft_aug.data.phantoms.names import draw_names
from vrft_aug.data.phantoms.tasks import STREAM
from vrft_aug.data.setting_checks import check_number

Pair = tuple[Finding, Finding]  # what the first and what the second half of the images show
HALVES = 2
VIEWS = 7  # of a task's stream of random numbers


def draw_pairs(seed: int) -> dict[str, Pair]:
    """The four diseases, name -> pair, in the order of the classes. The two findings of a half differ in everything.

    Raises InputError for a seed that is no whole number.
    """
    check_number("task_seed", seed, 0)
    rng = np.random.default_rng((STREAM, seed, VIEWS))
    choices: list[list[Finding]] = []
    for _ in range(HALVES):
        taken = [finding for half in choices for finding in half]
        free = [HELD_OUT[at] for at in rng.permutation(len(HELD_OUT)) if HELD_OUT[at] not in taken]
        choices.append([free[0], next(one for one in free if all(a != b for a, b in zip(one, free[0], strict=True)))])
    names = draw_names(rng, len(choices[0]) * len(choices[1]), held_out=True)
    return dict(zip(names, product(choices[0], choices[1]), strict=True))


def pair_words(pair: Pair) -> str:
    """Both findings in words, as "two dark rings in the upper left; one bright cross in the centre"."""
    return "; ".join(map(words, pair))


def knowledge(seed: int) -> dict[str, str]:
    """Class -> its description, in the order of the classes."""
    return {name: pair_words(pair) for name, pair in draw_pairs(seed).items()}


def classes(seed: int) -> list[str]:
    """The classes, in their order."""
    return list(draw_pairs(seed))
