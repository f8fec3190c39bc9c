"""Reads one slice of a NIfTI volume and turns it as radiologists look at it, in 8-bit grey.

Axial slices have the patient's front at the top, the others the head; axial and coronal slices have the patient's right
on the left side. Only the slice is read, save for what a compressed file needs to reach it.
"""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vrft_aug.data.datasets.file_formats import brief, unpacked
from vrft_aug.data.datasets.image_files import check_size
from vrft_aug.data.datasets.image_settings import AXES, MIDDLE, ImageSettings, chosen_frame
from vrft_aug.data.datasets.picture import Picture, Reading, picture_of
from vrft_aug.data.datasets.windows import Values, greys
from vrft_aug.errors import InputError

SECOND = (b"\x1c\x02", b"\x02\x1c")  # a header of 540 bytes, that of NIfTI-2, in either byte order
HEAD = 348  # bytes of the smaller header
HALVES = (b"ni1\0", b"ni2\0")
SURFACES = range(3000, 3100)  # intent codes of CIFTI: values along the brain's surface, no volume
REMEDY = "fetch the file again or remove it from the list"


class Slicing(NamedTuple):
    """A slice of a volume. places: of every axis of the file. columns, rows: the file's axes that become those.

    flipped: of these two, which ones run the other way in the file.
    """

    places: tuple[int | slice, ...]
    columns: int
    rows: int
    flipped: tuple[bool, bool]


def read_nifti(path: Path, settings: ImageSettings) -> Picture:
    """Read one slice. Raises InputError for a file without a volume, and for one that is broken."""
    try:
        import nibabel
    except ImportError:
        raise InputError(f"{path}: NIfTI needs nibabel; install vrft-aug[medical]") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with unpacked(path) as stream:
                head = stream.read(HEAD)
                if any(magic in head for magic in HALVES):
                    raise InputError(f"{path}: one file of a pair (.hdr, .img); save the two as one .nii file")
                second = head[:2] in SECOND
                stream.seek(0)
                volume = (nibabel.Nifti2Image if second else nibabel.Nifti1Image).from_stream(stream)
                return picture(path, volume, nibabel.io_orientation(volume.affine), settings)
        except InputError:
            raise
        except Exception as error:  # nibabel, gzip and zlib raise errors of many types for broken bytes
            raise InputError(f"{path}: NIfTI that cannot be read ({brief(error)}); {REMEDY}") from None


def picture(path: Path, volume: Any, orientation: Values, settings: ImageSettings) -> Picture:
    """The slice that the settings name, as an 8-bit image, with what was done."""
    if int(volume.header["intent_code"]) in SURFACES:
        raise InputError(f"{path}: CIFTI, which is no volume; remove it from the list")
    across, notes = AXES.index(settings.axis), []
    if np.isnan(orientation).any():
        orientation, notes = np.array([[0, 1], [1, 1], [2, 1]]), ["no orientation in the file: axes as stored"]
    depth = shape(volume)[axis_of(orientation, across)]
    frame, note = chosen_frame(path, settings.frame, depth, f"{settings.axis} slices", MIDDLE)
    cut = slicing(shape(volume), orientation, across, frame)
    check_size(path, shape(volume)[cut.columns], shape(volume)[cut.rows])
    values = sliced(volume, cut)
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: voxels of type {volume.get_data_dtype()}; save real numbers")
    window, how = settings.window_for(values)
    more = any(size > 1 for size in volume.shape[3:])
    notes += [note, "several volumes, of which the first is used" if more else ""]
    zooms = [float(size) for size in volume.header.get_zooms()]
    spacing = (zooms[cut.columns], zooms[cut.rows]) if max(cut.columns, cut.rows) < len(zooms) else None
    reading = Reading(f"NIfTI, {settings.axis} slice, {how}", window[:2], spacing, frame)
    return picture_of(greys(values, window), notes, reading)


def shape(volume: Any) -> tuple[int, ...]:
    """The size along three axes; an image of two is one slice. Raises ValueError for an empty volume."""
    sizes = (*volume.shape, 1, 1, 1)[:3]
    if 0 in sizes or not volume.shape:
        raise ValueError(f"a volume of {' x '.join(map(str, volume.shape)) or 'no'} voxels")
    return sizes


def axis_of(orientation: Values, direction: int) -> int:
    """The file's axis that runs nearest to a direction of the patient: 0 right, 1 front, 2 head."""
    return int(np.flatnonzero(orientation[:, 0] == direction)[0])


def slicing(sizes: tuple[int, ...], orientation: Values, across: int, frame: int) -> Slicing:
    """How to cut slice `frame` across a direction. Slices count from the left, from the back, and from the feet."""
    axis = axis_of(orientation, across)
    index: list[int | slice] = [slice(None)] * 3
    index[axis] = frame if orientation[axis, 1] > 0 else sizes[axis] - 1 - frame
    columns, rows = (axis_of(orientation, direction) for direction in range(3) if direction != across)
    # Columns run to the patient's left or back, and rows to the back or the feet: against NIfTI's directions.
    return Slicing(tuple(index), columns, rows, (orientation[columns, 1] > 0, orientation[rows, 1] > 0))


def sliced(volume: Any, cut: Slicing) -> Values:
    """The values of a slice, (H, W), of the first volume if there are several."""
    present = len(volume.shape)
    index = (*cut.places, *[0] * present)[:present]
    sizes = [shape(volume)[axis] for axis in sorted((cut.columns, cut.rows))]
    values = np.asarray(volume.dataobj[index]).reshape(sizes)
    check_end(volume)
    values = values.T if cut.columns < cut.rows else values
    return values[:: -1 if cut.flipped[1] else 1, :: -1 if cut.flipped[0] else 1]


def check_end(volume: Any) -> None:
    """Raise ValueError if the file ends before its last voxel, although the slice may be there."""
    data, stream = volume.dataobj, volume.file_map["image"].fileobj
    stream.seek(data.offset + math.prod(data.shape) * data.dtype.itemsize - 1)
    if not stream.read(1):
        raise ValueError("the file ends before its last voxel")
