"""Reads an image file of any format that hospitals have: DICOM, NIfTI, 16-bit and 8-bit pictures.

An `ImageFile` is what a sample carries instead of a path where the data set's settings say how to read it. It travels
to the processes that open images. The modules for DICOM and NIfTI are imported when the first such file is met.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vrft_aug.data.datasets.file_formats import medical_format
from vrft_aug.data.datasets.image_files import check_size, damaged, decode, identify
from vrft_aug.data.datasets.image_settings import ImageSettings, chosen_frame
from vrft_aug.data.datasets.picture import Picture, Reading, picture_of
from vrft_aug.data.datasets.windows import greys
from vrft_aug.errors import InputError

HEAD = 512  # bytes that tell the format
BARE = (".dcm", ".dicom")  # old files may lack the header, and Pillow would not say what is wrong
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's names of grey with more than 8 bits
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # a TIFF tag and its value: the lowest value is white


@dataclass(frozen=True)
class ImageFile:
    """An image file, and how to read it."""

    path: Path
    settings: ImageSettings

    def open(self) -> Picture:
        """Read and decode the image. Raises InputError, in one line, if that cannot be done."""
        kind = medical_format(head(self.path))
        if kind == "DICOM":
            from vrft_aug.data.datasets.dicom import read_dicom

            return read_dicom(self.path, self.settings)
        if kind == "NIfTI":
            from vrft_aug.data.datasets.nifti import read_nifti

            return read_nifti(self.path, self.settings)
        if self.path.suffix.lower() in BARE:
            raise InputError(f"{self.path}: no DICOM of today's form, whose bytes 129 to 132 are DICM; write it again "
                             "with a full header, or remove it from the list")
        return read_picture(self.path, self.settings)


def head(path: Path) -> bytes:
    """The first bytes of a file; none if it cannot be read, which `identify` reports."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def read_picture(path: Path, settings: ImageSettings) -> Picture:
    """Read a file that Pillow knows: as other data sets do (image_files.py), save for 16 bits and a chosen page."""
    content, image = identify(path)
    if settings.frame is None and image.mode not in DEEP_MODES:
        return decode(path, content, image)
    check_size(path, image.width, image.height)
    try:
        page, note = chosen_frame(path, settings.frame, getattr(image, "n_frames", 1), "pages", 0)
        image.seek(page)
        if image.mode in DEEP_MODES:
            return shallow(image, settings, note, page)
    except InputError:
        raise
    except (OSError, EOFError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from None
    return decode(path, content, image, page)


def shallow(image: Image.Image, settings: ImageSettings, note: str, page: int) -> Picture:
    """A grey image of 16 or 32 bits in 256 greys. Raises ValueError for values that have no window."""
    values = np.asarray(image)
    window, how = settings.window_for(values)
    pixels = greys(values, window)
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        pixels, how = 255 - pixels, f"{how}, inverted"
    bits = 16 if image.mode.startswith("I;") else 32
    return picture_of(pixels, [note], Reading(f"grey of {bits} bits, {how}", window[:2], frame=page))
