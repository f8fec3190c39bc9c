"""Makes small copies of a row's images, for a person to look at."""

import io
from collections.abc import Sequence

from PIL import Image


def small_image(encoded: bytes, longest_side: int) -> Image.Image:
    """An encoded image in grey or RGB, reduced to `longest_side` pixels; a smaller one keeps its size."""
    image = Image.open(io.BytesIO(encoded))
    small = image if image.mode in ("L", "RGB") else image.convert("RGB")
    small.thumbnail((longest_side, longest_side))
    return small


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """One image of several, left to right on black, in RGB."""
    whole = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)))
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return whole
