"""MedMNIST 2D: eight of its sets make up the paper's Table 1. File: `<root>/medmnist/<flag>[_<size>].npz`.

Order: the file's own order within the official split. MedMNIST publishes no patient identifiers, so each image is its
own group. A sample: Sample(image=<reads pixels>, label=2, source_id="retinamnist/train/17", group_id=<the same>).

Images are streamed from the compressed file in order, so the memory in use does not depend on their number.
"""

import hashlib
import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vrft_aug.data.datasets.download import fetch
from vrft_aug.data.datasets.image_files import Pixels
from vrft_aug.data.datasets.sample import DataWarning, Sample
from vrft_aug.errors import InputError

SIZES = (28, 64, 128, 224)
READ_AHEAD = 1 << 18  # bytes


def load(root: Path, split: str, *, flag: str, size: int = 28, allow_unverified: bool = False) -> Iterator[Sample]:
    """Yield the official split. Raises InputError for a missing, damaged, altered or malformed file."""
    path = npz_path(root, flag, size)
    verify(path, published(flag, size)[1], allow_unverified)
    labels = read_labels(path, split, len(info(flag)["label"]))
    read = open_images(path, split, len(labels), size)
    stem = path.stem
    for i, label in enumerate(labels.tolist()):
        name = f"{stem}/{split}/{i}"
        yield Sample(partial(read, i), label, name, name, origin=path)


def download(root: Path, *, flag: str, size: int = 28, **_: Any) -> Path:
    """Fetch the published file unless it is there with the right MD5; resumes a broken download."""
    path = npz_path(root, flag, size)
    url, md5 = published(flag, size)
    if not (path.exists() and file_md5(path, path.stat().st_mtime_ns) == md5):
        fetch(url, path, md5)
    return path


def info(flag: str) -> dict[str, Any]:
    """MedMNIST's own description of a set: URLs, MD5 sums, labels, number of samples."""
    import medmnist  # it imports torch

    if flag not in medmnist.INFO:
        raise InputError(f"flag={flag} is not a MedMNIST set; one of {', '.join(medmnist.INFO)}")
    return medmnist.INFO[flag]


def published(flag: str, size: int) -> tuple[str, str]:
    """(URL, MD5) of a set at one size."""
    if size not in SIZES:
        raise InputError(f"size={size}: MedMNIST offers {', '.join(map(str, SIZES))} pixels")
    suffix = "" if size == 28 else f"_{size}"
    return info(flag)["url" + suffix], info(flag)["MD5" + suffix]


def npz_path(root: Path, flag: str, size: int) -> Path:
    return Path(root) / "medmnist" / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz")


@lru_cache
def file_md5(path: Path, modified_ns: int) -> str:
    """MD5 of a file; the time of its last change is part of the cache key."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def verify(path: Path, md5: str, allow_unverified: bool) -> None:
    """Refuse a file whose MD5 is not the published one, unless told to go on; then its own checksums still count."""
    if not path.exists():
        raise InputError(f"{path}: no such file; get it with `make data DATASET=<name> DATA_ROOT={path.parents[1]}`")
    if file_md5(path, path.stat().st_mtime_ns) == md5:
        return
    if not allow_unverified:
        raise InputError(
            f"{path}: the MD5 is not {md5}, the published one: truncated, altered or another version; "
            "fetch it again, or accept it with allow_unverified=true"
        )
    warnings.warn(f"{path.name}: accepted although its MD5 is not the published {md5}", DataWarning, stacklevel=2)
    check_archive(path, path.stat().st_mtime_ns)


@lru_cache
def check_archive(path: Path, modified_ns: int) -> None:
    """Check the CRC of every array in the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: damaged file ({error}); fetch it again") from None
    if damaged:
        raise InputError(f"{path}: array {damaged} is damaged (its CRC does not match); fetch the file again")


def open_member(path: Path, member: str) -> tuple[zipfile.ZipExtFile, tuple[int, ...], np.dtype]:
    """Open one array of an npz at its first value: (stream, shape, dtype). Never unpickles."""
    try:
        stream = zipfile.ZipFile(path).open(f"{member}.npy")  # noqa: SIM115, the samples read from it later
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(stream)]
        shape, fortran, dtype = read_header(stream)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot read the array {member} ({error}); fetch the file again") from None
    if (fortran and len(shape) > 1) or dtype.hasobject:
        raise InputError(f"{path}: the array {member} is not a plain C-ordered array; fetch the file again")
    return stream, shape, dtype


def read_labels(path: Path, split: str, classes: int) -> NDArray[np.int64]:
    """Labels of a split, (N,), checked to lie in [0, classes)."""
    stream, shape, dtype = open_member(path, f"{split}_labels")
    if shape not in ((shape[0],), (shape[0], 1)) or dtype.kind not in "iu":
        raise InputError(f"{path}: {split}_labels is {dtype}{list(shape)}, not integers N x 1; fetch the file again")
    labels = np.frombuffer(stream.read(), dtype).reshape(-1).astype(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{path}: {split}_labels row {row} is {labels[row]}, outside 0..{classes - 1}; mend the file")
    return labels


def open_images(path: Path, split: str, count: int, size: int) -> partial:
    """A function from index to pixels. Reading forwards is one pass over the file; a step back starts again."""
    stream, shape, dtype = open_member(path, f"{split}_images")
    if dtype != np.uint8 or shape not in ((count, size, size), (count, size, size, 3)):
        wanted = f"uint8[{count}, {size}, {size}] (or x 3) for {count} labels"
        raise InputError(f"{path}: {split}_images is {dtype}{list(shape)}, not {wanted}; fetch the file again")
    stream = io.BufferedReader(stream, READ_AHEAD)
    return partial(read_image, path, stream, stream.tell(), shape[1:], math.prod(shape[1:]))


def read_image(
    path: Path, stream: io.BufferedReader, start: int, shape: tuple[int, ...], length: int, index: int
) -> Pixels:
    try:
        stream.seek(start + index * length)
        return np.frombuffer(stream.read(length), np.uint8).reshape(shape)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: image {index} is damaged ({error}); fetch the file again") from None
