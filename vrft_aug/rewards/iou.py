"""Pays for a box that overlaps the ground truth: intersection over union (eq. 2, 11).

In a row with several images a box is [image, x1, y1, x2, y2]: one in another image does not overlap.
"""

import json
from collections.abc import Sequence

from vrft_aug.errors import InputError
from vrft_aug.rewards.answer_text import Box
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo

THRESHOLD = 0.5  # from this IoU on a box is right (A.4: "typically set to 0.5 as default")


def reward(
    response: Response,
    ground_truth: str,
    row: ExtraInfo,
    *,
    threshold: float | None = THRESHOLD,
    inclusive: bool = True,
) -> float:
    """1 if the IoU reaches `threshold` (A.4: "typically set to 0.5 as default"), else 0. None: the IoU itself.

    `inclusive`: eq. 2 asks for IoU >= threshold (True, the default), eq. 11 for IoU > threshold (False).
    Raises InputError where the row's ground truth is not a box.
    """
    if response.box is None:
        return 0.0
    value = iou(to_pixels(response.box, row), read_box(ground_truth))
    if threshold is None:
        return value
    return float(value >= threshold if inclusive else value > threshold)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes in the same frame; 0 where one has no area, and for two images."""
    if not (has_area(a) and has_area(b)) or [*a[:-4]] != [*b[:-4]]:
        return 0.0
    a, b = a[-4:], b[-4:]
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return min(width * height / union, 1.0) if union > 0 else 0.0


def has_area(box: Sequence[float]) -> bool:
    x1, y1, x2, y2 = box[-4:]
    return x1 < x2 and y1 < y2


def to_pixels(box: Box, row: ExtraInfo) -> Box:
    """Convert a box from the policy's frame (`frame_size`) to pixels of the original image (`image_size`).

    For Qwen2.5-VL the frame is the processor's resized image; for Qwen2-VL and Qwen3-VL it is [1000, 1000]. A box in
    an image that the row does not have stays as it is, and overlaps with nothing.
    """
    *number, x1, y1, x2, y2 = box
    at = int(2 * number[0] - 2) if number else 0
    if number and not (number[0].is_integer() and 0 <= at < len(row["image_size"])):
        return box
    width, height = row["image_size"][at : at + 2]
    frame_width, frame_height = row["frame_size"][at : at + 2]
    x, y = width / frame_width, height / frame_height
    return (*number, x1 * x, y1 * y, x2 * x, y2 * y)


def read_box(ground_truth: str) -> list[float]:
    """The ground truth's box, a JSON list [x1, y1, x2, y2] in original pixels, after its image where a row has several.

    Raises InputError for other text.
    """
    try:
        *number, x1, y1, x2, y2 = map(float, json.loads(ground_truth))
        if len(number) > 1:
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"ground truth {ground_truth!r} is not a JSON list [x1, y1, x2, y2]: prepare again") from None
    if not has_area((x1, y1, x2, y2)):
        raise InputError(f"ground truth {ground_truth!r} has no area (x1 < x2, y1 < y2): fix it and prepare again")
    return [*number, x1, y1, x2, y2]
