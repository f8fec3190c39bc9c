"""Test images for the page, small: read from prepared rows, as data URIs."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

LONGEST_SIDE = 160  # pixels
EXACT_SIDE = 64  # up to this side an image is shown pixel by pixel (PNG), beyond it as JPEG
BATCH = 64  # rows in memory at once


def thumbnails(folder: Path, split: str, wanted: Mapping[int, str]) -> dict[int, dict]:
    """{index: {"uri": data URI, "width", "height": original pixels}} of the rows that are still there.

    Args:
        folder: what recipes/prepare.py wrote. wanted: {index of a row: its source_id}; a row of another source_id has
            been prepared anew from other data and is left out.
    """
    found = {}
    try:
        for file in sorted(folder.glob(f"{split}*.parquet")):
            for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["images", "extra_info"]):
                for position, info in enumerate(batch.column("extra_info").to_pylist()):
                    if wanted.get(info["index"]) == info["source_id"]:
                        encoded = batch.column("images")[position].as_py()[0]["bytes"]
                        found[info["index"]] = thumbnail(encoded)
    except (OSError, pa.ArrowException, KeyError):  # not prepared rows, or half of them: the page says what is missing
        return {}
    return found


def thumbnail(encoded: bytes) -> dict:
    """An encoded image, fitted to LONGEST_SIDE."""
    image = Image.open(io.BytesIO(encoded))
    width, height = image.size
    small = image if image.mode in ("L", "RGB") else image.convert("RGB")
    exact = max(image.size) <= EXACT_SIDE
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, **({"format": "PNG"} if exact else {"format": "JPEG", "quality": 85}))
    kind = "png" if exact else "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"uri": uri, "width": width, "height": height}
