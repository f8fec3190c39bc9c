"""Reads test images from prepared rows and makes small copies for the page, as data URIs."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.data.rows.small_images import small_image
from vrft_aug.errors import InputError

LONGEST_SIDE = 160  # pixels
EXACT_SIDE = 64  # an image up to this side is exact (PNG), a larger one is a JPEG
BATCH = 64  # rows in memory at once


def thumbnails(parquet: Path, wanted: Mapping[int, str]) -> dict[int, dict[str, Any]]:
    """{index: {"uri": data URI, "width", "height": original pixels}} of the wanted rows that still exist; "more": the
    same of the others of a row with several images.

    parquet: the file of a split, which recipes/prepare.py wrote. wanted: {index of a row: its source_id}; a row with
    another source_id was prepared later from other data and is left out.
    """
    found = {}
    try:
        for file in parquet_files(parquet):
            for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["images", "extra_info"]):
                for position, info in enumerate(batch.column("extra_info").to_pylist()):
                    if wanted.get(info["index"]) == info["source_id"]:
                        first, *more = (thumbnail(one["bytes"]) for one in batch.column("images")[position].as_py())
                        found[info["index"]] = first | ({"more": more} if more else {})
    except (InputError, OSError, pa.ArrowException, KeyError):  # the rows are gone or damaged: the page says so
        return {}
    return found


def thumbnail(encoded: bytes) -> dict[str, Any]:
    """An encoded image, reduced to LONGEST_SIDE."""
    width, height = Image.open(io.BytesIO(encoded)).size
    kind = "png" if max(width, height) <= EXACT_SIDE else "jpeg"
    buffer = io.BytesIO()
    small_image(encoded, LONGEST_SIDE).save(buffer, kind, quality=85)
    uri = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"uri": uri, "width": width, "height": height}
