"""Alters what a policy is asked: other images (does it look?) or other descriptions in the prompt (does it read?).

shuffled: the images dealt to the wrong prompts. blank: grey images. blur_1 to downsample_3: degraded images
(degradations.py). wrong_knowledge, no_knowledge: descriptions dealt to the wrong classes, or left out
(dealt_knowledge.py). Answers are scored by what the row says, not by what was asked instead.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vrft_aug.data.degradations import KINDS, STRENGTHS, blank, degraded
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.evaluation.answers import dealt_knowledge


class Asked(NamedTuple):
    """The settings that made the rows; seed: of the conditions' random choices."""

    dataset: Dataset
    prompt: Prompt
    seed: int


class Condition(NamedTuple):
    """alter: the rows with other images or prompts; their extra_info, by which answers are scored, stays.

    obstacle: why it cannot be tried; "" if there is no obstacle.
    """

    title: str
    alter: Callable[[pd.DataFrame, Asked], pd.DataFrame]
    obstacle: Callable[[pd.DataFrame, Asked], str] = lambda rows, asked: ""


def deal_images(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows with their images in a random order: a policy that uses its images must fall to chance level.

    Those of a row stay together, and go to a row whose prompt has as many marks.
    """
    numbers = rows["images"].map(len).to_numpy()
    order, rng = np.arange(len(rows)), np.random.default_rng(seed)
    for number in np.unique(numbers):
        places = np.flatnonzero(numbers == number)
        order[places] = places[rng.permutation(len(places))]
    return rows.assign(images=[rows["images"].iloc[index] for index in order])


def redraw(rows: pd.DataFrame, draw: Callable[[bytes, str], bytes]) -> pd.DataFrame:
    """The rows with other images. draw: takes an encoded image and its name: the source_id, and its number if it is not
    the first of its row."""
    names = ([f"{info['source_id']} {number}" if number else info["source_id"] for number in range(len(shown))]
             for info, shown in zip(rows["extra_info"], rows["images"], strict=True))  # fmt: skip
    encoded = (image["bytes"] for shown in rows["images"] for image in shown)
    with ThreadPoolExecutor() as pool:  # Pillow and zlib work outside of Python's lock
        drawn = pool.map(draw, encoded, chain.from_iterable(names))
        images: list[Any] = [[{"bytes": next(drawn), "path": None} for _ in shown] for shown in rows["images"]]
    return rows.assign(images=images)


def _degraded(kind: str, level: int) -> Condition:
    def alter(rows: pd.DataFrame, asked: Asked) -> pd.DataFrame:
        return redraw(rows, partial(degraded, kind=kind, level=level, seed=asked.seed))

    return Condition(f"{IMAGES[kind]} images, strength {level} of {len(STRENGTHS[kind])}", alter)


IMAGES = {"blur": "blurred", "noise": "noisy", "jpeg": "JPEG-compressed", "downsample": "down-sampled"}
DEGRADED = {f"{kind}_{level}": _degraded(kind, level) for kind in KINDS for level in range(1, len(STRENGTHS[kind]) + 1)}
CONDITIONS = {
    "shuffled": Condition("shuffled images", lambda rows, asked: deal_images(rows, asked.seed)),
    "blank": Condition("blank images", lambda rows, asked: redraw(rows, lambda encoded, _: blank(encoded))),
    **DEGRADED,
    "wrong_knowledge": Condition(
        "descriptions of the wrong classes",
        lambda rows, asked: dealt_knowledge.wrong_knowledge(rows, *asked),
        lambda rows, asked: dealt_knowledge.obstacle(rows, asked.dataset, asked.prompt, wrong=True),
    ),
    "no_knowledge": Condition(
        "no descriptions",
        lambda rows, asked: dealt_knowledge.no_knowledge(rows, asked.dataset, asked.prompt),
        lambda rows, asked: dealt_knowledge.obstacle(rows, asked.dataset, asked.prompt),
    ),
}
