"""Reads image files and masks, and refuses images that are damaged, too large or not 8-bit."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vrft_aug.errors import InputError

Pixels = NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB
Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels, x2 and y2 exclusive

MAX_PIXELS = 32_000_000  # larger images are refused: a policy sees 0.3 megapixels
KEPT_FORMATS = ("JPEG", "PNG")  # files of these formats are copied byte for byte, others become PNG
PLAIN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")


class Picture(NamedTuple):
    """An image twice: encoded (a JPEG or PNG file's own bytes, or a new PNG), and decoded (grey or RGB)."""

    encoded: bytes
    image: Image.Image


def open_image(image: Pixels | Path) -> Picture:
    """Read an image file, or encode pixels. Raises InputError for an unreadable or too large file."""
    if isinstance(image, Path):
        return open_file(image)
    plain = Image.fromarray(image)
    return Picture(encode_png(plain), plain)


def encode_png(image: Image.Image) -> bytes:
    """Lossless PNG of an image. Level 4 is as small as Pillow's default 6 and takes less than half the time."""
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=4)
    return stream.getvalue()


def open_file(path: Path) -> Picture:
    """Read and decode an image file. Raises InputError if it is missing, damaged, not 8-bit, or too large."""
    try:
        content = path.read_bytes()
        image = Image.open(io.BytesIO(content))
    except FileNotFoundError:
        raise InputError(f"{path}: no such image; restore the file or remove its entry from the list") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: decompression bomb; the limit is {MAX_PIXELS / 1e6:.0f} megapixels") from None
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path}: not a readable image ({error}); fetch the file again or remove it") from None
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{path}: {image.width} x {image.height} pixels exceed {MAX_PIXELS / 1e6:.0f} megapixels; "
                         "scale the image down")
    if image.mode not in PLAIN_MODES:
        raise InputError(f"{path}: pixel mode {image.mode}; save it as 8-bit grey or RGB")
    try:
        plain = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: damaged image ({error}); fetch the file again or remove it") from None
    return Picture(content if image.format in KEPT_FORMATS else encode_png(plain), plain)


def mask_box(path: Path) -> Box:
    """Box around the non-zero pixels of a mask file: xmin, ymin, xmax + 1, ymax + 1. Raises InputError if none is."""
    mask: Pixels = np.asarray(open_file(path).image)
    inside = np.any(mask.reshape(*mask.shape[:2], -1), axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if rows.size == 0:
        raise InputError(f"{path}: empty mask; a box needs at least one non-zero pixel; correct or remove the mask")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
