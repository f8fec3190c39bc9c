"""Defines an image as it is read: encoded, decoded, and with what was done to it."""

import io
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB
SQUARE = 1.1  # a larger ratio of a pixel's sides changes shapes visibly


class Reading(NamedTuple):
    """What was done to an image that has more than 8 bits, or is one of several.

    treatment: in words, the same for all images that were treated alike. window: center and width of the values that
    became greys. spacing: millimetres per pixel, across and down. frame: its index in the file. None: there is none.
    """

    treatment: str
    window: tuple[float, float] | None = None
    spacing: tuple[float, float] | None = None
    frame: int | None = None


class Picture(NamedTuple):
    """An image twice: encoded (a JPEG or PNG file's own bytes, or a new PNG), and decoded (grey or RGB).

    note: what the conversion changed, "" if nothing, as "CMYK, converted to RGB". reading: None for an ordinary image.
    """

    encoded: bytes
    image: Image.Image
    note: str = ""
    reading: Reading | None = None


class Openable(Protocol):
    """A file with settings of how to read it (image_source.py). It can be sent to another process."""

    def open(self) -> Picture: ...


Source = Pixels | Path | Openable


def encode_png(image: Image.Image) -> bytes:
    """Lossless PNG of an image. Level 4 is as small as Pillow's default 6 and takes less than half the time."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=4)
    return stream.getvalue()


def picture_of(pixels: Pixels, notes: list[str], reading: Reading) -> Picture:
    """A picture of converted pixels, with the notes that are not empty and those that the pixels themselves ask for."""
    image = Image.fromarray(pixels)
    across, down = reading.spacing or (1.0, 1.0)
    if pixels.min() == pixels.max():
        notes = [*notes, "one grey value alone: the window shows nothing, or the image is empty"]
    if not (down > 0 and across > 0 and 1 / SQUARE < across / down < SQUARE):
        notes = [*notes, "pixels that are not square, kept as stored: shapes look stretched"]
    return Picture(encode_png(image), image, ", ".join(filter(None, notes)), reading)
