"""Keeps what a preparation found out about each image: its fingerprints, its tokens, and the state of its files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vrft_aug.data.columns import Columns
from vrft_aug.data.datasets.image_source import ImageFile
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.selection import digest

SCHEMA = pa.schema({"source_id": pa.string(), "exact": pa.binary(), "near": pa.binary(), "row": pa.int64(),
                    "stamp": pa.uint64(), "tokens": pa.int32(), "length": pa.int32(), "note": pa.string(),
                    "treatment": pa.string()})  # fmt: skip


class ImageFacts(NamedTuple):
    """What stays in memory of an image, about 100 bytes where many are (see `Columns`).

    exact, near, row: see leakage.Fingerprint. stamp: see `stamp`. tokens: of the image. length: tokens of the row's
    prompt, 0 if they were not counted. note: what the encoding changed; treatment: how the image was read; "" if
    nothing, and as it is.
    """

    source_id: str
    exact: bytes
    near: bytes
    row: int
    stamp: int
    tokens: int
    length: int
    note: str
    treatment: str


class FactsOfImages(Columns[ImageFacts]):
    """The facts of the images of a split, in the order of its rows, each of which has one image or more."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, ImageFacts._make)

    def rows(self) -> Iterator[ImageFacts]:
        """The first image of each row."""
        last = -1
        for one in self:
            if one.row != last:
                yield one
            last = one.row

    def save(self, path: Path, start: int, end: int) -> None:
        """Write the facts of the rows from `start` to before `end`."""
        row = pc.field("row")
        pq.write_table(self.table().filter((row >= start) & (row < end)), path)

    def load(self, path: Path) -> None:
        """Append what `save` wrote."""
        for batch in pq.ParquetFile(path).iter_batches():
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                self.append(values)


def stamp(sample: Sample) -> int:
    """A number that changes with the sample's id and with the time or the size of its image files and masks."""
    states = [f"{found.stat().st_mtime_ns} {found.stat().st_size}" if found.exists() else "absent"
              for found in paths((sample.image, *sample.more, sample.box))]  # fmt: skip
    return digest("\0".join([sample.source_id, *states]))


def paths(value: Any) -> Iterator[Path]:
    """The paths in a value, which may be a list or a tuple."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, ImageFile):
        yield value.path
    elif isinstance(value, list | tuple):
        for one in value:
            yield from paths(one)
