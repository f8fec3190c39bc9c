"""Contact sheet of a parquet file: images with their labels and boxes, and the prompt below."""

import io
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from vrft_aug.errors import InputError

TILE, CAPTION, MARGIN = 192, 36, 8  # pixels
FONT_SIZE = 13


def find(data: Path, split: str) -> list[Path]:
    """The parquet files of a split in a folder that prepare.py wrote, or the file itself."""
    if data.is_file():
        return [data]
    paths = [data / f"{split}.parquet"] if (data / f"{split}.parquet").exists() else []
    paths = paths or sorted(data.glob(f"{split}-?????.parquet"))
    if not paths:
        raise InputError(f"{data}: no {split}.parquet; give a folder that recipes/prepare.py wrote, or a parquet file")
    return paths


def read_rows(paths: list[Path], number: int) -> list[dict[str, Any]]:
    """At most `number` rows, evenly spread over the files."""
    try:
        files = [pq.ParquetFile(path) for path in paths]
        total = sum(file.metadata.num_rows for file in files)
        wanted = set(np.linspace(0, total - 1, min(number, total)).round().astype(int).tolist())
        rows, position = [], 0
        for file in files:
            for batch in file.iter_batches(64, columns=["images", "reward_model", "extra_info"]):
                rows += [batch.slice(i - position, 1).to_pylist()[0] for i in range(position, position + len(batch))
                         if i in wanted]
                position += len(batch)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise InputError(f"{paths[0]}: not a parquet file of recipes/prepare.py ({error}); prepare again") from None
    return rows


def render(rows: list[dict[str, Any]], columns: int) -> Image.Image:
    """All rows as one RGB image."""
    if not rows:
        raise InputError("the file has no rows; prepare with other limits")
    lines = [line for part in rows[0]["extra_info"]["prompt"].splitlines()
             for line in textwrap.wrap(part, columns * TILE // 7) or [""]]
    height = -(-len(rows) // columns) * (TILE + CAPTION)
    sheet = Image.new("RGB", (columns * TILE, height + (len(lines) + 1) * (FONT_SIZE + 3)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for i, row in enumerate(rows):
        x, y = i % columns * TILE, i // columns * (TILE + CAPTION)
        sheet.paste(tile(row), (x + MARGIN // 2, y))
        info = row["extra_info"]
        for j, text in enumerate((caption(row)[:28], f"{info['index']}: {info['source_id'][-22:]}")):
            draw.text((x + MARGIN // 2, y + TILE - MARGIN + 2 + j * 15), text, "black", font)
    for i, line in enumerate(lines):
        draw.text((MARGIN, height + MARGIN + i * (FONT_SIZE + 3)), line, "black", font)
    return sheet


def tile(row: Mapping[str, Any]) -> Image.Image:
    """The row's image, fitted to a tile, with its box."""
    image = Image.open(io.BytesIO(row["images"][0]["bytes"])).convert("RGB")
    scale = (TILE - MARGIN) / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    fitted = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    if row["extra_info"]["box"]:
        ImageDraw.Draw(fitted).rectangle([side * scale for side in row["extra_info"]["box"]], outline="red", width=2)
    return fitted


def caption(row: Mapping[str, Any]) -> str:
    """The ground truth; for a box in whole pixels."""
    truth = row["reward_model"]["ground_truth"]
    return str([round(x) for x in json.loads(truth)]) if row["extra_info"]["task"] == "localization" else truth
