"""Lists a policy's opponents: ordinary classifiers, trained on the same rows, that answer the same test images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from vrft_aug.evaluation.answers import features, linear, option_prior, pixels


class Opponent(NamedTuple):
    """answer: predictions for the rows, trained on the training rows of the folder; it may use the policy's tower.

    obstacle: of folder, split and rows: why there is nothing to answer; "" if there is no obstacle.
    """

    title: str
    answer: Callable[[Path, pd.DataFrame, features.Tower], pd.DataFrame]
    obstacle: Callable[[Path, str, pd.DataFrame], str]


def _from_pixels(parquet: Path, rows: pd.DataFrame, tower: features.Tower) -> pd.DataFrame:
    return linear.answer(parquet, rows, pixels.read, pixels.PENALTY)


def _from_features(parquet: Path, rows: pd.DataFrame, tower: features.Tower) -> pd.DataFrame:
    return linear.answer(parquet, rows, partial(features.read, tower=tower), features.PENALTY)


OPPONENTS = {
    "pixels": Opponent("logistic regression on pixels", _from_pixels, linear.obstacle),
    "features": Opponent("logistic regression on the policy's features", _from_features, linear.obstacle),
    "prior": Opponent("the most frequent option of the training", option_prior.answer, option_prior.obstacle),
}
