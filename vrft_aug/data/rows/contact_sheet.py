"""Draws a contact sheet of parquet files: images with their labels and boxes, and one prompt below."""

import io
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from PIL import Image, ImageDraw, ImageFont

from vrft_aug.errors import InputError

TILE, CAPTION, MARGIN = 192, 36, 8  # pixels
FONT_SIZE = 13


def read_rows(paths: list[Path], number: int) -> list[dict[str, Any]]:
    """At most `number` rows, spread evenly over the files."""
    try:
        rows = ds.dataset(paths, format="parquet")
        total = rows.count_rows()
        wanted = np.linspace(0, total - 1, min(number, total)).round().astype(int)
        return rows.take(wanted, columns=["images", "reward_model", "extra_info"]).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise InputError(f"{paths[0]}: not a parquet file of recipes/prepare.py ({error}); prepare again") from None


def render(rows: list[dict[str, Any]], columns: int) -> Image.Image:
    """All rows as one RGB image, `columns` of them side by side. Raises InputError if there is no row.

    The images of a row with several are side by side too.
    """
    if not rows:
        raise InputError("the file has no rows; prepare with other limits")
    lines = [line for part in rows[0]["extra_info"]["prompt"].splitlines()
             for line in textwrap.wrap(part, columns * TILE // 7) or [""]]
    wide = TILE * max(len(row["images"]) for row in rows)
    height = -(-len(rows) // columns) * (TILE + CAPTION)
    sheet = Image.new("RGB", (columns * wide, height + (len(lines) + 1) * (FONT_SIZE + 3)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for i, row in enumerate(rows):
        x, y = i % columns * wide, i // columns * (TILE + CAPTION)
        for number in range(len(row["images"])):
            sheet.paste(tile(row, number), (x + number * TILE + MARGIN // 2, y))
        text = f"{caption(row)[:28]}\n{row['extra_info']['index']}: {row['extra_info']['source_id'][-22:]}"
        draw.multiline_text((x + MARGIN // 2, y + TILE - MARGIN + 2), text, "black", font, spacing=2)
    draw.multiline_text((MARGIN, height + MARGIN), "\n".join(lines), "black", font, spacing=3)
    return sheet


def tile(row: dict[str, Any], number: int = 0) -> Image.Image:
    """One of the row's images with its boxes, scaled to a tile. number: from 0 on."""
    image = Image.open(io.BytesIO(row["images"][number]["bytes"])).convert("RGB")
    scale = (TILE - MARGIN) / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    fitted = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    for box in boxes(row):
        if len(box) == 4 or box[0] == number + 1:
            ImageDraw.Draw(fitted).rectangle([side * scale for side in box[-4:]], outline="red", width=2)
    return fitted


def boxes(row: dict[str, Any]) -> list[list[float]]:
    """The row's box, or all boxes of a row of detection."""
    if row["extra_info"]["task"] == "detection":
        return json.loads(row["reward_model"]["ground_truth"])
    return [row["extra_info"]["box"]] if row["extra_info"]["box"] else []


def caption(row: dict[str, Any]) -> str:
    """The ground truth; a box is in whole pixels, of several their number."""
    truth, task = row["reward_model"]["ground_truth"], row["extra_info"]["task"]
    if task == "detection":
        return f"boxes: {len(boxes(row))}"
    return str([round(x) for x in json.loads(truth)]) if task == "localization" else truth
