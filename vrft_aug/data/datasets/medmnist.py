"""Loads MedMNIST 2D; the paper's Table 1 has eight of its sets. File: `<root>/medmnist/<flag>[_<size>].npz`.

Order: the file's own order within the official split. MedMNIST publishes no patient identifiers, so each image is its
own group. A sample: Sample(image=<reads pixels>, label=2, source_id="retinamnist/train/17", group_id=<the same>).

The images are read from the compressed file one after the other, so the memory does not grow with their number.
"""

import hashlib
import importlib.util
import io
import math
import runpy
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

from vrft_aug.data.datasets.download import fetch_url
from vrft_aug.data.datasets.image_files import Pixels
from vrft_aug.data.datasets.sample import DataWarning, Sample
from vrft_aug.errors import InputError

SIZES = (28, 64, 128, 224)
READ_AHEAD = 1 << 18  # bytes


def load(root: Path, split: str, *, flag: str, size: int = 28, allow_unverified: bool = False) -> Iterator[Sample]:
    """Yield the official split. Raises InputError for a missing, damaged, altered or malformed file."""
    path, _, md5 = published(root, flag, size)
    verify(path, md5, allow_unverified)
    labels = read_labels(path, split, len(info(flag)["label"]))
    read = open_images(path, split, len(labels), size)
    for i, label in enumerate(labels.tolist()):
        name = f"{path.stem}/{split}/{i}"
        yield Sample(partial(read, i), label, name, name, origin=path)


def download(root: Path, *, flag: str, size: int = 28, **_: Any) -> Path:
    """Download the published file unless it exists with the right MD5. Resumes a broken download."""
    path, url, md5 = published(root, flag, size)
    if not (path.exists() and file_md5(path, path.stat().st_mtime_ns) == md5):
        fetch_url(url, path, md5)
    return path


def info(flag: str) -> dict[str, Any]:
    """MedMNIST's own description of a set: URLs, MD5 sums, labels, number of samples. Raises InputError."""
    sets = all_sets()
    if flag not in sets:
        raise InputError(f"flag={flag} is not a MedMNIST set; use one of {', '.join(sets)}")
    return sets[flag]


@lru_cache
def all_sets() -> dict[str, dict[str, Any]]:
    """The descriptions of all sets, from the package's file info.py alone: the package itself imports torch (5 s)."""
    package = importlib.util.find_spec("medmnist")  # requires torch, so the light package does not depend on it
    if package is None or package.origin is None:
        raise InputError("MedMNIST sets need the package medmnist; install vrft-aug[medmnist]")
    return runpy.run_path(str(Path(package.origin).with_name("info.py")))["INFO"]


def published(root: Path, flag: str, size: int) -> tuple[Path, str, str]:
    """Path, URL and MD5 of a set at one size. Raises InputError."""
    if size not in SIZES:
        raise InputError(f"size={size}: MedMNIST offers {', '.join(map(str, SIZES))} pixels")
    suffix = "" if size == 28 else f"_{size}"
    return Path(root) / "medmnist" / f"{flag}{suffix}.npz", info(flag)["url" + suffix], info(flag)["MD5" + suffix]


@lru_cache
def file_md5(path: Path, modified_ns: int) -> str:
    """MD5 of a file. modified_ns: the time of its last change, so that a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def verify(path: Path, md5: str, allow_unverified: bool) -> None:
    """Raise InputError unless the MD5 is the published one. allow_unverified: warn, and check the file's own CRCs."""
    if not path.exists():
        raise InputError(f"{path}: no such file; get it with `make data DATASET=<name> DATA_ROOT={path.parents[1]}`")
    if file_md5(path, path.stat().st_mtime_ns) == md5:
        return
    if not allow_unverified:
        raise InputError(
            f"{path}: the MD5 is not {md5}, the published one: the file is truncated, changed or another version; "
            "download it again, or accept it with allow_unverified=true"
        )
    warnings.warn(f"{path.name}: accepted although its MD5 is not the published {md5}", DataWarning, stacklevel=2)
    check_archive(path, path.stat().st_mtime_ns)


@lru_cache
def check_archive(path: Path, modified_ns: int) -> None:
    """Check the CRC of every array in the file. Raises InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: damaged file ({error}); download it again") from None
    if damaged:
        raise InputError(f"{path}: array {damaged} is damaged (its CRC does not match); download the file again")


def open_member(path: Path, member: str) -> tuple[Any, tuple[int, ...], np.dtype]:
    """Open an array of an npz at its first value: (stream, shape, dtype). It never unpickles. Raises InputError."""
    try:
        stream = zipfile.ZipFile(path).open(f"{member}.npy")  # noqa: SIM115, samples read from it later
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(stream)]
        shape, fortran, dtype = read_header(stream)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot read the array {member} ({error}); download the file again") from None
    if (fortran and len(shape) > 1) or dtype.hasobject:
        raise InputError(f"{path}: the array {member} is not a plain C-ordered array; download the file again")
    return stream, shape, dtype


def read_labels(path: Path, split: str, classes: int) -> NDArray[np.int64]:
    """Labels of a split, (N,). Raises InputError for a label outside [0, classes)."""
    stream, shape, dtype = open_member(path, f"{split}_labels")
    if shape not in ((shape[0],), (shape[0], 1)) or dtype.kind not in "iu":
        raise InputError(f"{path}: {split}_labels is {dtype}{list(shape)}, not integers N x 1; download it again")
    labels = np.frombuffer(stream.read(), dtype).reshape(-1).astype(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{path}: {split}_labels row {row} is {labels[row]}, outside 0..{classes - 1}; correct it")
    return labels


def open_images(path: Path, split: str, count: int, size: int) -> partial:
    """A function from index to pixels. Reading forwards takes one pass over the file; a step back starts again."""
    member, shape, dtype = open_member(path, f"{split}_images")
    if dtype != np.uint8 or shape not in ((count, size, size), (count, size, size, 3)):
        wanted = f"uint8[{count}, {size}, {size}] (or x 3) for {count} labels"
        raise InputError(f"{path}: {split}_images is {dtype}{list(shape)}, not {wanted}; download the file again")
    stream = io.BufferedReader(member, READ_AHEAD)
    return partial(read_image, path, stream, stream.tell(), shape[1:])


def read_image(path: Path, stream: io.BufferedReader, start: int, shape: tuple[int, ...], index: int) -> Pixels:
    length = math.prod(shape)
    try:
        stream.seek(start + index * length)
        return np.frombuffer(stream.read(length), np.uint8).reshape(shape)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: image {index} is damaged ({error}); download the file again") from None
