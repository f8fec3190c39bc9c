"""Keeps small copies of the images of prepared rows in memory, for the page that follows a training."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from vrft_aug.evaluation.report.page.thumbnails import Small, small_images

SIDE = 640  # pixels
KEPT = 512  # rows

Row = tuple[Path, int]  # file of a split, index


class Pictures:
    """Several threads may ask at once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Row, list[Small]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, file: Path, wanted: Mapping[int, str]) -> dict[int, list[Small]]:
        """The images of rows of a file, as `small_images` gives them; those seen last are not read again."""
        with self._lock:
            missing = {index: name for index, name in wanted.items() if (file, index) not in self._kept}
            if missing:
                read = small_images(file, missing, SIDE)
                self._kept |= {(file, index): images for index, images in read.items()}
            found = {index: self._kept[file, index] for index in wanted if (file, index) in self._kept}
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found

    def one(self, file: Path, index: int, number: int) -> Small | None:
        """Image `number` of a row that `of` has given; None if it is no longer kept."""
        with self._lock:
            images = self._kept.get((file, index), [])
            return images[number] if number < len(images) else None
