"""One labelled image, as every loader yields it.

A loader is a module with `load(root, split, **options) -> Iterable[Sample]`. It yields samples in a documented order
and opens no image: pixels are read, and encoded, when a sample is asked for them. So drawing ten images a class from
165,466 touches ten images a class.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vrft_aug.data.datasets.image_files import Box, Picture, Pixels, mask_box, open_file, open_image

SPLITS = ("train", "val", "test")


class DataWarning(UserWarning):
    """Something a loader went on with because it was told to; the manifest keeps it."""


class Sample(NamedTuple):
    """An image with its ground truth.

    image: pixels, the path of an image file, or a function that returns pixels.
    label: index into the data set's classes, -1 where unknown.
    source_id: unique within the data set; names the image in the source.
    group_id: what must not be spread over two splits (patient, lesion); the source_id where nothing is known.
    box: the target's bounding box in original pixels, the path of a mask that gives it, or None.
    origin: file that holds or lists the sample; the manifest records its checksum.
    """

    image: Pixels | Path | Callable[[], Pixels]
    label: int
    source_id: str
    group_id: str
    box: Box | Path | None = None
    origin: Path | None = None

    def source(self) -> Pixels | Path:
        """Where the image comes from: its pixels, read now if the source is a stream, or its file."""
        return self.image() if callable(self.image) else self.image

    def open(self) -> Picture:
        """Read the image, once. Raises InputError for an unreadable or oversized file."""
        return open_image(self.source())

    def pixels(self) -> Pixels:
        """Decoded image, (H, W) or (H, W, 3) uint8."""
        image = self.source()
        return np.asarray(open_file(image).image) if isinstance(image, Path) else image

    def bounding_box(self) -> Box | None:
        """The box in original pixels; a mask is opened here, not before."""
        return mask_box(self.box) if isinstance(self.box, Path) else self.box
