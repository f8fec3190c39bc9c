"""Chooses one answer per prompt from several samples: the majority's class, or the box that agrees most with all."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from vrft_aug.rewards.iou import iou


def mark(samples: Sequence[Mapping]) -> list[dict]:
    """The samples of one prompt with two new keys: `sample`, its number, and `vote`, true for the chosen sample."""
    chosen = choose(samples)
    return [{**row, "sample": number, "vote": number == chosen} for number, row in enumerate(samples)]


def choose(samples: Sequence[Mapping]) -> int:
    """Position of the sample that agrees most with the others.

    For classes and grades it is the first sample of the majority; for boxes the medoid, which has the highest sum of
    IoUs with all boxes. The first of equal samples wins. Rejected samples do not vote; if all are rejected, the first
    one is chosen. samples: rows of a predictions table (measure.py); task, prediction and rejected are read.
    """
    voters = [number for number, row in enumerate(samples) if not row["rejected"]]
    if not voters:
        return 0
    return max(voters, key=lambda one: sum(_agreement(samples[one], samples[other]) for other in voters))


def votes(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per prompt: the chosen samples, or all rows of a table with one response per prompt."""
    return predictions[predictions["vote"]] if "vote" in predictions else predictions


def _agreement(a: Mapping, b: Mapping) -> float:
    if a["task"] == "localization":
        return iou(json.loads(a["prediction"]), json.loads(b["prediction"]))
    return float(a["prediction"] == b["prediction"])
