"""Chooses one answer per prompt from several samples: the majority's class, or the box that agrees most with all."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from vrft_aug.rewards.boxes import overlap
from vrft_aug.rewards.iou import iou
from vrft_aug.rewards.parsing import BOX_TASKS


def mark(samples: Sequence[Mapping]) -> list[dict]:
    """The samples of one prompt with three new keys: `sample`, its number; `vote`, true for the chosen sample; and
    `vote_shares`, None for boxes."""
    chosen, shares = choose(samples), vote_shares(samples)
    return [{**row, "sample": number, "vote": number == chosen, "vote_shares": shares}
            for number, row in enumerate(samples)]  # fmt: skip


def vote_shares(samples: Sequence[Mapping]) -> list[float] | None:
    """The share of one prompt's samples that answered each class, in the order of the row's classes; None for boxes.

    Rejected samples count for no class, so the sum may be below 1.
    """
    if samples[0]["task"] in BOX_TASKS:
        return None
    answers = [row["prediction"] for row in samples if not row["rejected"]]
    return [answers.count(name) / len(samples) for name in samples[0]["classes"]]


def choose(samples: Sequence[Mapping]) -> int:
    """Position of the sample that agrees most with the others.

    For classes and grades it is the first sample of the majority; for boxes the medoid, which has the highest sum of
    IoUs with all boxes (of lists of boxes: of `overlap`). The first of equal samples wins. Rejected samples do not
    vote; if all are rejected, the first one is chosen.
    samples: rows of a predictions table (measure.py); task, prediction and rejected are read.
    """
    voters = [number for number, row in enumerate(samples) if not row["rejected"]]
    if not voters:
        return 0
    return max(voters, key=lambda one: sum(_agreement(samples[one], samples[other]) for other in voters))


def votes(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per prompt: the chosen samples, or all rows of a table with one response per prompt."""
    return predictions[predictions["vote"]] if "vote" in predictions else predictions


def _agreement(a: Mapping, b: Mapping) -> float:
    if a["task"] in BOX_TASKS:
        alike = iou if a["task"] == "localization" else overlap
        return alike(json.loads(a["prediction"]), json.loads(b["prediction"]))
    return float(a["prediction"] == b["prediction"])
