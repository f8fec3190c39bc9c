"""A box in the frame of the real Qwen2.5-VL image processor is converted to the original pixels."""

import json

import numpy as np
import pytest
from PIL import Image
from reward_rows import LESION, think

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.iou import iou, to_pixels

SIZES = [(600, 450), (28, 28), (2000, 2500)]
WHOLE = {"min_pixels": 3136, "max_pixels": 1003520}


def frame_of(size: tuple[int, int]) -> list[int]:
    """Width and height after the processor's resize, from `image_grid_thw` in patches of 14 pixels."""
    processor = pytest.importorskip("transformers").Qwen2VLImageProcessor(**WHOLE)
    image = Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8))
    _, rows, columns = processor(images=[image])["image_grid_thw"][0]
    return [int(columns) * 14, int(rows) * 14]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("part", [(0.25, 0.25, 0.75, 0.75), (0.0, 0.5, 0.5, 1.0), (0.6, 0.1, 0.95, 0.9)], ids=str)
def test_a_perfect_box_in_the_resized_frame_scores(size: tuple, part: tuple):
    truth = [round(f * s) for f, s in zip(part, size * 2, strict=True)]
    frame = frame_of(size)
    stated = [round(t * f / s) for t, f, s in zip(truth, frame * 2, size * 2, strict=True)]  # whole pixels, as taught
    row = LESION | {"image_size": list(size), "frame_size": frame}
    assert iou(to_pixels(tuple(stated), row), truth) > 0.97
    result = compute_score("d", think(f"<answer>{stated}</answer>"), json.dumps(truth), row, "iou")
    assert (result["score"], result["acc"]) == (1.0, 1.0)
    assert iou(json.loads(result["prediction"]), truth) > 0.97


def test_without_the_mapping_the_same_box_would_be_wrong():
    size, truth = (28, 28), [7, 7, 21, 21]
    frame = frame_of(size)
    assert frame == [56, 56]
    stated = [2 * side for side in truth]
    assert iou(stated, truth) < 0.1
    assert iou(to_pixels(tuple(stated), {"image_size": size, "frame_size": frame}), truth) == 1.0


def test_the_thousand_frame_is_a_frame_like_any_other():
    row = LESION | {"image_size": [600, 450], "frame_size": [1000, 1000]}
    assert to_pixels((500.0, 0.0, 1000.0, 1000.0), row) == (300.0, 0.0, 600.0, 450.0)
