"""The frame of the boxes against the processor that resizes in training."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy_data import compose_config

from vrft_aug.data.rows.frame import frame_size, image_tokens, resized
from vrft_aug.data.settings import Policy

POLICY = replace(Policy.of(compose_config().policy), min_pixels=3136, max_pixels=50176)
SIZES = [(28, 28), (64, 64), (128, 128), (224, 224), (600, 450), (450, 600), (20, 90), (1023, 767), (3000, 40)]
BOUNDS = [(3136, 50176), (3136, 1003520), (50176, 50176), (12544, 12544), (262144, 1003520)]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_agrees_with_what_the_processor_does(bounds):
    processing = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    processor = processing.Qwen2VLImageProcessorPil(min_pixels=bounds[0], max_pixels=bounds[1])
    policy = replace(POLICY, min_pixels=bounds[0], max_pixels=bounds[1])
    for size in SIZES:
        image = Image.fromarray(np.zeros((*size[::-1], 3), np.uint8))
        _, rows, columns = processor(image, return_tensors="np")["image_grid_thw"][0].tolist()
        assert resized(size, policy) == (columns * 14, rows * 14), size
        assert image_tokens(size, policy) == rows * columns // 4


def test_published_token_counts():
    """PROTOCOL: image tokens for 28, 64, 128, 224 px."""
    squares = [(n, n) for n in (28, 64, 128, 224)]
    assert [image_tokens(size, POLICY) for size in squares] == [4, 4, 25, 64]
    larger = replace(POLICY, min_pixels=224 * 224, max_pixels=10**6)
    assert [image_tokens(size, larger) for size in squares] == [64] * 4
    easyr1 = replace(POLICY, min_pixels=262144, max_pixels=10**6)
    assert [image_tokens(size, easyr1) for size in squares] == [361] * 4  # 19 x 19, and 18 x 18 would be too few pixels


def test_the_thousand_frame_does_not_depend_on_the_image():
    assert frame_size((600, 450), replace(POLICY, box_frame="thousand")) == (1000, 1000)
