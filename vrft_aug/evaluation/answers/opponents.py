"""The opponents of a policy: ordinary classifiers that answer the same test images after the same training images."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from vrft_aug.evaluation.answers import pixels


class Opponent(NamedTuple):
    """answer: predictions for the rows, trained on the training rows of the folder.

    obstacle: of folder, split and rows: why there is nothing to answer; "" if there is no obstacle.
    """

    title: str
    answer: Callable[[Path, pd.DataFrame], pd.DataFrame]
    obstacle: Callable[[Path, str, pd.DataFrame], str]


OPPONENTS = {"pixels": Opponent("logistic regression on pixels", pixels.answer_from_pixels, pixels.obstacle)}
