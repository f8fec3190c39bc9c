"""Keeps what a preparation found out about each image: its fingerprints, its tokens, and the state of its files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vrft_aug.data.columns import Columns
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.selection import digest

SCHEMA = pa.schema({"source_id": pa.string(), "exact": pa.binary(), "near": pa.binary(), "stamp": pa.uint64(),
                    "tokens": pa.int32(), "length": pa.int32(), "note": pa.string()})  # fmt: skip


class ImageFacts(NamedTuple):
    """What stays in memory of an image, about 100 bytes where many are (see `Columns`).

    exact, near: see leakage.Fingerprint. stamp: see `stamp`. tokens: of the image. length: tokens of the prompt, 0 if
    they were not counted. note: what the encoding changed, "" if nothing.
    """

    source_id: str
    exact: bytes
    near: bytes
    stamp: int
    tokens: int
    length: int
    note: str


class FactsOfImages(Columns[ImageFacts]):
    """The facts of the images of a split, in the order of its rows."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, ImageFacts._make)

    def save(self, path: Path, start: int, end: int) -> None:
        pq.write_table(self.table().slice(start, end - start), path)

    def load(self, path: Path) -> None:
        """Append what `save` wrote."""
        for batch in pq.ParquetFile(path).iter_batches():
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                self.append(values)


def stamp(sample: Sample) -> int:
    """A number that changes with the sample's id and with the time or the size of its image files and masks."""
    states = [f"{found.stat().st_mtime_ns} {found.stat().st_size}" if found.exists() else "absent"
              for found in paths((sample.image, sample.box))]  # fmt: skip
    return digest("\0".join([sample.source_id, *states]))


def paths(value: Any) -> Iterator[Path]:
    """The paths in a value, which may be a list or a tuple."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from paths(one)
