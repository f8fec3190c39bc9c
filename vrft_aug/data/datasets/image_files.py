"""Reads image files and masks, turned as they are to be shown; refuses what is damaged, too large or not 8-bit."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from scipy import ndimage

from vrft_aug.data.datasets.file_formats import medical_format
from vrft_aug.data.datasets.picture import Picture, Pixels, Reading, Source, encode_png
from vrft_aug.errors import InputError

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels, x2 and y2 exclusive

MAX_PIXELS = 32_000_000  # larger images are refused: a policy sees 0.3 megapixels
KEPT_FORMATS = ("JPEG", "PNG")  # files of these formats are copied byte for byte, others become PNG
SPECK = 0.01  # of the area of a mask's largest part: a smaller part is a speck, and no finding
UPRIGHT = 1  # EXIF orientation of an image that is stored as it is shown
PLAIN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")


def open_image(image: Source) -> Picture:
    """Read an image file, or encode pixels. Raises InputError for an unreadable or too large file."""
    if isinstance(image, Path):
        return open_file(image)
    if not isinstance(image, np.ndarray):
        return image.open()
    plain = Image.fromarray(image)
    return Picture(encode_png(plain), plain)


def open_file(path: Path, background: str = "white") -> Picture:
    """Read and decode an image file. Raises InputError if it is missing, damaged, not 8-bit, or too large.

    Every later reader must see the same pixels, so an image that readers convert in different ways becomes a new PNG.
    background: the colour of transparent parts; white is the choice of Qwen's own code.
    """
    return decode(path, *identify(path), background=background)


def decode(
    path: Path, content: bytes, image: Image.Image, page: int | None = None, background: str = "white"
) -> Picture:
    """The picture of a file that was identified. page: to which it was turned on purpose; None: the first."""
    check_size(path, image.width, image.height)
    if image.mode not in PLAIN_MODES:
        raise InputError(f"{path}: pixel mode {image.mode}; save it as 8-bit grey or RGB")
    try:
        plain, change = convert(image, background)
        pages = getattr(image, "n_frames", 1)
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from None
    kept = image.format in KEPT_FORMATS and not change and not page
    several = pages > 1 and page is None
    note = ", ".join(filter(None, [change, "several pages, of which the first is used" if several else ""]))
    reading = Reading("one of several pages", frame=page) if pages > 1 and page is not None else None
    return Picture(content if kept else encode_png(plain), plain, note, reading)


def check_size(path: Path, width: int, height: int) -> None:
    """Raise InputError for an image of more than MAX_PIXELS. It is called before anything is decoded."""
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width} x {height} pixels exceed {MAX_PIXELS / 1e6:.0f} megapixels; "
                         "scale the image down")


def damaged(path: Path, reason: object) -> InputError:
    """The error of an image that cannot be decoded."""
    return InputError(f"{path}: damaged image ({reason}); fetch the file again or remove it")


def identify(path: Path) -> tuple[bytes, Image.Image]:
    """A file's bytes, and the image with its pixels not yet decoded. Raises InputError if it is no image."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such image; restore the file or remove its entry from the list") from None
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}); correct the path or the permissions") from None
    try:
        return content, Image.open(io.BytesIO(content))
    except Image.DecompressionBombError:
        raise InputError(f"{path}: decompression bomb; the limit is {MAX_PIXELS / 1e6:.0f} megapixels") from None
    except (OSError, SyntaxError, ValueError):
        if name := medical_format(content):
            raise InputError(f"{path}: this is {name}; convert it to 8-bit PNG, one file per image, or "
                             "list it in a data set like conf/dataset/folder.yaml, which reads it") from None
        raise InputError(f"{path}: not a readable image; save it as PNG, JPEG, BMP, TIFF or WebP, or fetch the file "
                         "again") from None


def convert(image: Image.Image, background: str) -> tuple[Image.Image, str]:
    """The image as 8-bit grey or RGB, and what that changed: "" if readers of the file cannot disagree."""
    upright, turned = turn(image)
    plain, change = flatten(upright, background)
    return plain, ", ".join(filter(None, [turned, change]))


def turn(image: Image.Image) -> tuple[Image.Image, str]:
    """The image as its EXIF orientation says, like browsers and most tools for annotation show it; and what changed."""
    image.load()  # a PNG may have EXIF after its pixels
    if image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) == UPRIGHT:
        return image, ""
    return ImageOps.exif_transpose(image), "turned as its EXIF orientation says"


def flatten(image: Image.Image, background: str) -> tuple[Image.Image, str]:
    """The image without transparent parts in 8-bit grey or RGB, and what that changed."""
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.mode == "CMYK":
        return image.convert(mode), "CMYK, converted to RGB"
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if np.asarray(layer)[..., 3].min() < 255:
            whole = Image.alpha_composite(Image.new("RGBA", image.size, background), layer)
            return whole.convert(mode), f"transparent, put on {background}"
    return image.convert(mode), ""


def mask_box(path: Path) -> Box:
    """Box around the non-zero pixels of a mask file: xmin, ymin, xmax + 1, ymax + 1. Raises InputError if none is."""
    inside = read_mask(path)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if rows.size == 0:
        raise InputError(f"{path}: empty mask; a box needs at least one non-zero pixel; correct or remove the mask")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def mask_boxes(path: Path) -> list[Box]:
    """A box around each connected part of a mask file (corners touch), without specks; [] for a mask of zeros.

    A part is a speck if its area is below SPECK of the largest part's.
    """
    parts, _ = ndimage.label(read_mask(path), structure=np.ones((3, 3)))
    areas = np.bincount(parts.ravel())[1:]
    found = zip(ndimage.find_objects(parts), areas, strict=True)
    return [(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
            for (rows, columns), area in found if area >= SPECK * areas.max()]  # fmt: skip


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Where a mask file is not zero, (H, W)."""
    mask: Pixels = np.asarray(open_file(path, background="black").image)
    return np.any(mask.reshape(*mask.shape[:2], -1), axis=2)
