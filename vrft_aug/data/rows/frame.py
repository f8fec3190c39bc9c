"""Computes the size that a policy's processor gives an image, the frame of its boxes, and the image's tokens.

Qwen2.5-VL states boxes in pixels of the resized image, so writing and reading a box both need this size. An image is
resized once, in the policy's own processor: the data sets in vrft_aug/engine/verl/datasets.py give it the whole image.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor, sqrt

from vrft_aug.data.settings import Policy

Size = tuple[int, int]  # width, height in pixels


def pairs(sizes: Sequence[int]) -> list[Size]:
    """The size of each image of a row, from its `image_size` or `frame_size`: width, height, width, height, ..."""
    return [(int(width), int(height)) for width, height in zip(sizes[::2], sizes[1::2], strict=True)]


@lru_cache(maxsize=4096)
def smart_resize(size: Size, unit: int, min_pixels: int, max_pixels: int) -> Size:
    """Qwen2-VL's resize: both sides are multiples of `unit`, the area is within bounds, the shape hardly changes."""
    width, height = size
    sides = [max(unit, round(side / unit) * unit) for side in size]
    area = sides[0] * sides[1]
    if area > max_pixels:
        scale = sqrt(width * height / max_pixels)
        sides = [max(unit, floor(side / scale / unit) * unit) for side in size]
    elif area < min_pixels:
        scale = sqrt(min_pixels / (width * height))
        sides = [ceil(side * scale / unit) * unit for side in size]
    return sides[0], sides[1]


def resized(size: Size, policy: Policy) -> Size:
    """Width and height of an image as the policy's vision tower receives it."""
    return smart_resize(size, policy.patch * policy.merge, policy.min_pixels, policy.max_pixels)


def frame_size(size: Size, policy: Policy) -> Size:
    """The frame in which the policy states boxes: the resized image's pixels, or 0 to 1000 on both axes."""
    return (1000, 1000) if policy.box_frame == "thousand" else resized(size, policy)


def image_tokens(size: Size, policy: Policy) -> int:
    """Number of visual tokens of an image with this original size."""
    width, height = resized(size, policy)
    return width * height // (policy.patch * policy.merge) ** 2
