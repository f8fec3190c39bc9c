"""Reads an image as the features of the evaluated policy's own vision tower, for logistic regression (linear.py).

The features are the visual tokens that the language model gets, averaged over the image. The tower is that of the
policy as it is evaluated: where training moved the tower, the features are those after training. So the opponent asks
whether the policy's language model adds anything to what its own eyes see.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PENALTY = 10.0  # of the coefficients, see linear.answer; features are fewer than pixels and less alike
BATCH = 16  # images at once
Features = NDArray[np.float32]
Pooled = Callable[[Sequence[bytes]], Features]


class Tower(NamedTuple):
    """Where the policy's vision tower is and works. path: a folder or hub id; device, dtype: as torch names them."""

    path: str
    device: str
    dtype: str


def read(seen: Iterable[bytes], asked: Iterable[bytes], tower: Tower) -> tuple[Features, Features]:
    """The images of training and test as features, shapes (n, hidden size of the language model).

    A process of its own holds the tower, so that its memory on the device is free again when vLLM starts.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _start, tower) as pool:
        seen_features, asked_features = (
            np.concatenate([pool.submit(_pooled, batch).result() for batch in _batches(images)])
            for images in (seen, asked)
        )
    return seen_features, asked_features


def pooling(tower: Tower) -> Pooled:
    """A function from encoded images to their features; it loads the policy, and keeps its tower alone."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, logging

    logging.disable_progress_bar()
    processor = AutoImageProcessor.from_pretrained(tower.path)
    whole = AutoModelForImageTextToText.from_pretrained(
        tower.path, dtype=getattr(torch, tower.dtype), attn_implementation="sdpa"
    )
    eyes = whole.model.visual.to(tower.device).eval()
    merged = eyes.spatial_merge_size**2  # patches of a visual token

    @torch.inference_mode()
    def pooled(images: Sequence[bytes]) -> Features:
        inputs: Any = processor([_image(encoded) for encoded in images], return_tensors="pt").to(tower.device)
        grid = inputs["image_grid_thw"]
        tokens = eyes(inputs["pixel_values"].to(eyes.dtype), grid_thw=grid).pooler_output.float()
        parts = torch.split(tokens, (grid.prod(-1) // merged).tolist())
        return torch.stack([part.mean(0) for part in parts]).cpu().numpy()

    return pooled


def _image(encoded: bytes) -> Image.Image:
    with Image.open(io.BytesIO(encoded)) as image:
        return image.convert("RGB")


def _batches(images: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for image in images:
        batch.append(image)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


_own: Pooled  # of the process


def _start(*tower: str) -> None:
    global _own
    _own = pooling(Tower(*tower))


def _pooled(images: Sequence[bytes]) -> Features:
    return _own(images)
