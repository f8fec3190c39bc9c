"""Pays for finding every box of an image and no other; an image without a finding pays for saying so.

The boxes of the answer and those of the ground truth are matched one to one, so that the sum over the pairs is as large
as possible (scipy's linear_sum_assignment). A pair counts its IoU, or 1 from a threshold on; a pair that counts 0 is no
pair. The reward is

    sum over the pairs / (boxes of the ground truth + boxes of the answer without a partner)

So a missed box and a box too many cost the same: with three of three found, one box too many gives 3/4, and with three
of four found and none too many it is 3/4 as well. No box on both sides gives 1. With one box on both sides it is the
reward `iou`. With a threshold it is TP / (TP + FP + FN).
"""

import json
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from vrft_aug.errors import InputError
from vrft_aug.rewards.answer_text import Box
from vrft_aug.rewards.iou import THRESHOLD, has_area, iou, to_pixels
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(response: Response, ground_truth: str, row: ExtraInfo, *, threshold: float | None = THRESHOLD) -> float:
    """The module's formula, from 0 to 1. threshold: a pair counts 1 from this IoU on; None: it counts its IoU.

    Raises InputError where the row's ground truth is not a list of boxes.
    """
    if response.boxes is None:
        return 0.0
    return overlap(stated(response.boxes, row), read_boxes(ground_truth), threshold)


def all_found(response: Response, ground_truth: str, row: ExtraInfo) -> float:
    """1 if the answer has every box of the ground truth, at an IoU of at least 0.5, and no other, else 0."""
    return float(reward(response, ground_truth, row, threshold=THRESHOLD) == 1)


def overlap(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]], threshold: float | None = None) -> float:
    """How much two lists of boxes in the same frame agree: symmetric, from 0 to 1 for equal lists."""
    if not (one or other):
        return 1.0
    pairs = matched(one, other, threshold)
    return sum(pairs) / (len(one) + len(other) - len(pairs))


def matched(
    one: Sequence[Sequence[float]], other: Sequence[Sequence[float]], threshold: float | None = None
) -> list[float]:
    """What each pair of the best one-to-one matching counts; pairs that count 0 are left out."""
    if not (one and other):
        return []
    counts = np.array([[iou(a, b) for b in other] for a in one])
    if threshold is not None:
        counts = (counts >= threshold).astype(float)
    best = counts[linear_sum_assignment(counts, maximize=True)]
    return best[best > 0].tolist()


def stated(boxes: Sequence[Box], row: ExtraInfo) -> list[Box]:
    """The boxes of an answer, in pixels of the original image."""
    return [to_pixels(box, row) for box in boxes]


def read_boxes(ground_truth: str) -> list[list[float]]:
    """The ground truth's boxes, a JSON list of lists as `iou.read_box` reads them; [] for no finding.

    Raises InputError for other text.
    """
    try:
        boxes = [[float(side) for side in box] for box in json.loads(ground_truth)]
    except (TypeError, ValueError):
        boxes = [[]]
    if not all(len(box) in (4, 5) and has_area(box) for box in boxes):
        raise InputError(f"ground truth {ground_truth!r} is not a JSON list of boxes [x1, y1, x2, y2] with x1 < x2 and "
                         "y1 < y2: prepare again")
    return boxes
