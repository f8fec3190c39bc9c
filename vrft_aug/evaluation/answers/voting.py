"""Several samples of one prompt -> the one answer that stands for the prompt."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from vrft_aug.rewards.iou import iou


def mark(samples: Sequence[Mapping]) -> list[dict]:
    """The samples of one prompt, each with `sample`, its number, and `vote`, true for the one that was elected."""
    elected = elect(samples)
    return [{**row, "sample": number, "vote": number == elected} for number, row in enumerate(samples)]


def elect(samples: Sequence[Mapping]) -> int:
    """Which sample agrees most with the others.

    Of classes and grades that is the majority's first sample; of boxes the medoid, whose summed IoU with all is
    highest. Of equals the first. Rejected samples do not vote; where all are rejected, the first stands for them.

    Args:
        samples: rows of a predictions table (metrics.py); task, prediction and rejected are read.
    """
    voters = [number for number, row in enumerate(samples) if not row["rejected"]]
    if not voters:
        return 0
    return max(voters, key=lambda one: sum(_agreement(samples[one], samples[other]) for other in voters))


def votes(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a prompt: the elected samples, or all rows of a table with one response a prompt."""
    return predictions[predictions["vote"]] if "vote" in predictions else predictions


def _agreement(a: Mapping, b: Mapping) -> float:
    if a["task"] == "localization":
        return iou(json.loads(a["prediction"]), json.loads(b["prediction"]))
    return float(a["prediction"] == b["prediction"])
