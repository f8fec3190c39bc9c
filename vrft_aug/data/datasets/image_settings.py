"""Defines how the files of a data set are read: the window, the frame of a series, the slice of a volume."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from vrft_aug.data.datasets.windows import DEFAULT, Percentiles, Values, Window, measured, parse_window
from vrft_aug.errors import InputError

AXES = ("sagittal", "coronal", "axial")  # a slice's direction, in the order of NIfTI's x, y and z
MIDDLE = "middle"
LISTED = re.compile(r"(.+)#(\d+)")  # "scan.nii.gz#57": frame 57 of the file


@dataclass(frozen=True)
class ImageSettings:
    """How to read images of more than 8 bits, and of several frames. It is made once and checks itself.

    window: of grey values; None: the file's own, or else the percentiles DEFAULT. frame: an index from 0, or "middle";
    None: the middle of DICOM frames and of NIfTI slices, the first page of other files. axis: of NIfTI slices.
    """

    window: Window | Percentiles | None = None
    frame: int | str | None = None
    axis: str = AXES[2]

    @classmethod
    def of(cls, window: object, frame: object, axis: object) -> Self:
        """Check the loader's keys of these names. Raises InputError, which names the key."""
        where = "dataset.loader"
        if not (frame is None or frame == MIDDLE or (type(frame) is int and frame >= 0)):
            raise InputError(f"{where}.frame={frame}: write an index (the first frame is 0), middle, or null")
        if axis not in AXES:
            raise InputError(f"{where}.axis={axis}: no such axis; write one of {', '.join(AXES)}")
        return cls(parse_window(f"{where}.window", window), frame, str(axis))

    def at(self, frame: int | None) -> Self:
        """The same settings for one frame that a table lists."""
        return self if frame is None else replace(self, frame=frame)

    @property
    def named(self) -> bool:
        """Whether the window is in Hounsfield units, as the named ones are."""
        return isinstance(self.window, Window) and bool(self.window.name)

    def window_for(self, values: Values, own: Callable[[], Window | None] = lambda: None,
                   ignored: Values | None = None) -> tuple[Window, str]:
        """The window of an image, and its kind in words. own: gives the file's own window, if there is one.

        ignored: where values do not count for percentiles. Raises ValueError if no value counts.
        """
        if isinstance(self.window, Window):
            name = f" {self.window.name}" if self.window.name else ""
            return self.window, f"window{name} (center {self.window.center:g}, width {self.window.width:g})"
        if self.window is None and (found := own()):
            return found, "window of the file"
        span = self.window or DEFAULT
        return measured(values, span, ignored), f"percentiles {span.low:g} to {span.high:g}"


def chosen_frame(path: Path, frame: int | str | None, count: int, what: str, default: str | int) -> tuple[int, str]:
    """The index of the frame of a file to read, and a note if nobody chose it and there are others.

    what: "frames", "pages" or "axial slices". default: MIDDLE or an index, where `frame` is None. Raises InputError for
    an index that does not exist.
    """
    wanted = default if frame is None else frame
    index = count // 2 if wanted == MIDDLE else int(wanted)
    if index >= count:
        raise InputError(f"{path}: no frame {index}, of {count} {what}; they count from 0: correct the number in the "
                         "list or dataset.loader.frame")
    name = "middle" if wanted == MIDDLE else "first"
    return index, f"several {what}, of which the {name} is used" if frame is None and count > 1 else ""


def split_frame(name: str) -> tuple[str, int | None]:
    """The file and the frame that a table's entry names: "scan.nii.gz#57" is frame 57 of scan.nii.gz."""
    found = LISTED.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)
