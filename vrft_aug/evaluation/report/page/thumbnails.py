"""Reads images from prepared rows and makes small copies for a page."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.data.rows.small_images import small_image
from vrft_aug.errors import InputError

LONGEST_SIDE = 160  # pixels
EXACT_SIDE = 64  # an image up to this side is exact (PNG), a larger one is a JPEG
ROW = ["extra_info.index", "extra_info.source_id"]


@dataclass(frozen=True)
class Small:
    """A small copy of an image. kind: png or jpeg. width, height: of the original, in pixels."""

    kind: str
    body: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        return f"data:image/{self.kind};base64,{base64.b64encode(self.body).decode()}"


def thumbnails(parquet: Path, wanted: Mapping[int, str]) -> dict[int, dict[str, Any]]:
    """{index: {"uri": data URI, "width", "height": original pixels}} of the wanted rows that still exist; "more": the
    same of the others of a row with several images. The arguments are those of `small_images`."""
    found = small_images(parquet, wanted)
    return {index: shown(images, [one.uri for one in images]) for index, images in found.items()}


def shown(images: list[Small], uris: list[str]) -> dict[str, Any]:
    """A row's images as a page takes them, from these addresses: see `thumbnails`."""
    first, *more = ({"uri": uri, "width": one.width, "height": one.height}
                    for one, uri in zip(images, uris, strict=True))  # fmt: skip
    return first | ({"more": more} if more else {})


def small_images(parquet: Path, wanted: Mapping[int, str], side: int = LONGEST_SIDE) -> dict[int, list[Small]]:
    """{index: its images, reduced to `side` pixels} of the wanted rows that still exist.

    parquet: the file of a split, which recipes/prepare.py wrote. wanted: {index of a row: its source_id}; a row with
    another source_id was prepared later from other data and is left out.
    """
    try:
        return {index: [reduced(one["bytes"], side) for one in images]
                for file in parquet_files(parquet) for index, images in _rows(file, wanted)}  # fmt: skip
    except (InputError, OSError, pa.ArrowException, KeyError):  # the rows are gone or damaged: the page says so
        return {}


def _rows(file: Path, wanted: Mapping[int, str]) -> Iterator[tuple[int, list[dict]]]:
    """(index, images) of the wanted rows of one file. Only row groups that have one of them are read whole."""
    indices = pa.array(list(wanted), pa.int64())
    with pq.ParquetFile(file) as opened:
        for number in range(opened.num_row_groups):
            about = opened.read_row_group(number, ROW)["extra_info"].combine_chunks()
            places = pc.indices_nonzero(pc.is_in(pc.struct_field(about, "index"), value_set=indices))
            if not len(places):
                continue
            images = opened.read_row_group(number, ["images"])["images"].take(places)
            for info, row in zip(about.take(places).to_pylist(), images, strict=True):
                if wanted[info["index"]] == info["source_id"]:
                    yield info["index"], row.as_py()


def reduced(encoded: bytes, side: int = LONGEST_SIDE) -> Small:
    """An encoded image, reduced to `side` pixels."""
    width, height = Image.open(io.BytesIO(encoded)).size
    kind = "png" if max(width, height) <= EXACT_SIDE else "jpeg"
    buffer = io.BytesIO()
    small_image(encoded, side).save(buffer, kind, quality=85)
    return Small(kind, buffer.getvalue(), width, height)
