"""The coordinate frame of a policy: the size its processor gives an image, and what the image costs in tokens.

Qwen2.5-VL states boxes in pixels of the resized image, so both ends of a box's way need this size. An image is resized
twice: when verl loads it (qwen_vl_utils, fixed bounds) and in the processor (the policy's bounds).
"""

from collections.abc import Mapping
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import Any

Size = tuple[int, int]  # width, height in pixels

LOADER_TOKENS = (4, 16384)  # bounds of qwen_vl_utils in merged patches
THOUSAND = (1000, 1000)


@lru_cache(maxsize=4096)
def smart_resize(size: Size, unit: int, min_pixels: int, max_pixels: int) -> Size:
    """Qwen2-VL's resize: both sides multiples of `unit`, the area within bounds, the aspect ratio nearly kept."""
    width, height = size
    fitted = tuple(max(unit, round(side / unit) * unit) for side in size)
    area = fitted[0] * fitted[1]
    if area > max_pixels:
        scale = sqrt(width * height / max_pixels)
        return tuple(max(unit, floor(side / scale / unit) * unit) for side in size)
    if area < min_pixels:
        scale = sqrt(min_pixels / (width * height))
        return tuple(ceil(side * scale / unit) * unit for side in size)
    return fitted


def resized(size: Size, policy: Mapping[str, Any]) -> Size:
    """Width and height of an image as the policy's vision tower gets it."""
    unit = policy["patch"] * policy["merge"]
    loaded = smart_resize(size, unit, *(tokens * unit**2 for tokens in LOADER_TOKENS))
    return smart_resize(loaded, unit, policy["min_pixels"], policy["max_pixels"])


def frame_size(size: Size, policy: Mapping[str, Any]) -> Size:
    """The frame in which the policy states boxes: the resized image's pixels, or 0-1000 on both axes."""
    return THOUSAND if policy["box_frame"] == "thousand" else resized(size, policy)


def image_tokens(size: Size, policy: Mapping[str, Any]) -> int:
    """Visual tokens of an image of this original size."""
    width, height = resized(size, policy)
    return width * height // (policy["patch"] * policy["merge"]) ** 2
