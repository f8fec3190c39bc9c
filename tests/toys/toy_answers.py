"""Predictions of closed questions with options of their own, for the tests of metrics and report."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from toy_runs import predictions

PLACES = ["lung", "heart", "liver", "spleen"]


def answered(right: Sequence[bool], **columns) -> pd.DataFrame:
    """Questions that are in turn a yes/no and one of four places, two per image; right: which are answered right."""
    n = len(right)
    options = [["yes", "no"] if i % 2 else PLACES[i // 2 % 4 :] + PLACES[: i // 2 % 4] for i in range(n)]
    truth = [names[i // 3 % len(names)] for i, names in enumerate(options)]
    said = [label if ok else names[names.index(label) - 1]
            for ok, label, names in zip(right, truth, options, strict=True)]  # fmt: skip
    table = predictions(truth, said, task="question", classes=[])
    facts = {"classes": options, "group_id": [f"image {i // 2}" for i in range(n)],
             "slice_type": ["presence" if i % 2 else "place" for i in range(n)],
             "prompt": [f"Question {i}?\nOptions are as follows:\n- a\nThink." for i in range(n)]}
    return table.assign(**facts | columns)


def share(n: int, hits: int) -> np.ndarray:
    """hits of n, spread evenly."""
    return np.arange(n) * hits // n != (np.arange(n) + 1) * hits // n
