"""Alters what a policy is asked, such as images dealt to the wrong prompts: its accuracy must then fall."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from vrft_aug.data.settings import Dataset, Prompt


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
    obstacle: Callable[[Asked], str] = lambda asked: ""


def deal_images(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows with their images in a random order: a policy that uses its images must fall to chance level."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows.assign(images=[rows["images"].iloc[index] for index in order])


CONDITIONS = {"shuffled": Condition("shuffled images", lambda rows, asked: deal_images(rows, asked.seed))}
