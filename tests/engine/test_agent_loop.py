"""The image processor runs once an image, and nothing else changes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from transformers import Qwen2VLImageProcessor

from vrft_aug.engine.agent_loop import REMEMBERED, Remembering


def picture(seed: int, size: int = 56) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))


@pytest.fixture
def processor():
    return Qwen2VLImageProcessor()


def counting(function):
    def counted(*args, **kwargs):
        counted.calls += 1
        return function(*args, **kwargs)

    counted.calls = 0
    return counted


def test_the_same_tensors_from_one_run_for_eight_calls_at_once(processor):
    expected = processor(images=[picture(0)], return_tensors="pt", min_pixels=12544, max_pixels=12544)
    run = counting(processor.preprocess)
    processor.preprocess = Remembering(run)

    def call(_):
        return processor(images=[picture(0)], return_tensors="pt", min_pixels=12544, max_pixels=12544)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(call, range(8)))
    assert run.calls == 1
    for one in found:
        assert one.keys() == expected.keys()
        assert all(torch.equal(one[key], expected[key]) for key in expected)
    found[0].pop("pixel_values")
    assert "pixel_values" in call(None), "a caller that takes its copy apart leaves the others whole"


def test_other_images_and_other_options_run_anew(processor):
    run = counting(processor.preprocess)
    remembering = Remembering(run)
    remembering([picture(0)], return_tensors="pt")
    remembering([picture(1)], return_tensors="pt")
    remembering([picture(0)], return_tensors="pt", min_pixels=50176)
    assert run.calls == 3


def test_an_error_reaches_every_caller_and_memory_is_bounded():
    def fail(images):
        raise ValueError("no image")

    remembering = Remembering(fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="no image"):
            remembering([picture(0)])
    one = torch.zeros(REMEMBERED // 16 // 4)  # float32
    run = counting(lambda images: {"pixel_values": one.clone()})
    keeping = Remembering(run)
    for seed in range(40):
        keeping([picture(seed, size=8)])
    assert len(keeping._results) == 16
    keeping([picture(39, size=8)])
    assert run.calls == 40, "the newest are kept"
    keeping([picture(0, size=8)])
    assert run.calls == 41, "the oldest are not"
