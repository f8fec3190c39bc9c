"""Computes the metrics of detection: boxes found, false boxes, and images that are rightly said to have none."""

import json

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics.intervals import Statistic
from vrft_aug.rewards.boxes import matched, read_boxes
from vrft_aug.rewards.iou import THRESHOLD

Floats = NDArray[np.float64]
NAMES = ("recall_50", "precision_50", "f1_50", "false_boxes", "none_right")


def detection_statistic(truth: pd.Series, answers: pd.Series) -> Statistic:
    """Over the boxes of all images together, matched one to one at IoU >= 0.5 within each image:

    recall_50: share of the true boxes that are found. precision_50: share of the stated boxes that are right. f1_50:
    their harmonic mean. false_boxes: stated boxes without a partner per image. none_right: of the images without a
    finding, the share whose answer says so. NaN where nothing is to be divided.

    truth, answers: JSON lists of boxes in the same pixels; an answer "" states no box, and does not say that none is.
    """
    table = np.array([_counts(*pair) for pair in zip(truth, answers, strict=True)], float)

    def statistic(weights: Floats) -> dict[str, Floats]:
        found, stated, true, none, said_none = (weights @ table).T
        images = weights.sum(1)
        parts = (found, true), (found, stated), (2 * found, stated + true), (stated - found, images), (said_none, none)
        return dict(zip(NAMES, (_share(*pair) for pair in parts), strict=True))

    return statistic


def _counts(truth: str, answer: str) -> tuple[int, int, int, bool, bool]:
    """Of one image: found, stated and true boxes; whether there is no finding, and whether the answer says this."""
    true, stated = read_boxes(truth), json.loads(answer or "[]")
    return len(matched(stated, true, THRESHOLD)), len(stated), len(true), not true, not true and answer == "[]"


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
