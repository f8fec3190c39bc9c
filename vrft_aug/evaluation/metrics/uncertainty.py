"""Says how unsure a policy is about each image: from its class probabilities, its votes, or its several boxes."""

import json
from itertools import combinations
from statistics import fmean

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.rewards.iou import iou

Floats = NDArray[np.float64]


def margin(probabilities: Floats) -> Floats:
    """The highest minus the second highest probability, (n, classes) -> (n,): 1 is sure, 0 is undecided."""
    ordered = np.sort(np.column_stack([probabilities, np.zeros(len(probabilities))]), axis=1)
    return ordered[:, -1] - ordered[:, -2]


def entropy(probabilities: Floats) -> Floats:
    """Entropy in nats, (n, classes) -> (n,): 0 is sure, log(classes) is undecided.

    What is left to 1 (vote shares of rejected samples) counts as one more class.
    """
    whole = np.column_stack([probabilities, np.maximum(1 - probabilities.sum(1), 0)])
    return -np.sum(whole * np.log(whole, out=np.zeros_like(whole), where=whole > 1e-12), axis=1) + 0.0


def box_agreement(samples: pd.DataFrame) -> pd.Series:
    """Mean IoU of all pairs of an image's boxes; index: source_id. 1 is sure. NaN for an image with one sample.

    A rejected sample overlaps with none. samples: predictions of localization, all samples of each image.
    """
    boxes = [json.loads(box) if box and not rejected else None
             for box, rejected in zip(samples["prediction"], samples["rejected"], strict=True)]  # fmt: skip
    return pd.Series(boxes, samples["source_id"].to_numpy(), dtype=object).groupby(level=0, sort=False).agg(_agreement)


def _agreement(boxes: pd.Series) -> float:
    pairs = [iou(a, b) if a and b else 0.0 for a, b in combinations(boxes, 2)]
    return fmean(pairs) if pairs else np.nan


def uncertainty(predictions: pd.DataFrame) -> pd.DataFrame:
    """margin, entropy, vote_entropy and box_agreement of each image, NaN where unknown; index: that of `votes`.

    predictions: of one data source and task, all samples of each image.
    """
    rows = votes(predictions)
    found = pd.DataFrame(np.nan, rows.index, ["margin", "entropy", "vote_entropy", "box_agreement"])
    for column, measures in (("probabilities", {"margin": margin, "entropy": entropy}),
                             ("vote_shares", {"vote_entropy": entropy})):  # fmt: skip
        known = rows[column].dropna() if column in rows else ()
        for name, measure in measures.items() if len(known) else ():
            found.loc[known.index, name] = [float(measure(np.asarray(one, float)[None])[0]) for one in known]
    if len(rows) and (rows["task"] == "localization").all() and "vote" in predictions:
        found["box_agreement"] = rows["source_id"].map(box_agreement(predictions))
    return found
