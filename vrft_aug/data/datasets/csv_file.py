"""Reads a CSV file into checked rows; the errors name the file and the line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.sample import SPLITS
from vrft_aug.errors import InputError


def read_table(path: Path, key: Sequence[str], columns: Sequence[str], remedy: str) -> list[dict[str, str]]:
    """All rows as dicts of stripped strings, with the line number under `#`.

    key: required columns that identify a row; two rows must not agree in all of them. columns: other required columns.
    remedy: what to do if the file is missing or malformed; part of the InputError.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [column for column in (*key, *columns) if column not in (reader.fieldnames or ())]:
                raise InputError(f"{path}: no column {', '.join(missing)}; {remedy}")
            return list(_rows(path, key, reader))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: unreadable CSV ({error}); {remedy}") from None


def _rows(path: Path, key: Sequence[str], reader: csv.DictReader) -> Iterator[dict[str, str]]:
    lines: dict[str, int] = {}
    for row in reader:
        where, number = f"{path} line {reader.line_num}", reader.line_num
        if None in row or None in row.values():
            raise InputError(f"{where}: {len(row)} fields do not fit the header; correct the line")
        name = "/".join(row[column].strip() for column in key)
        if lines.setdefault(name, number) != number:
            raise InputError(f"{where}: {name} is also in line {lines[name]}; remove one of them")
        yield {column: value.strip() for column, value in row.items()} | {"#": str(number)}


def read_split(path: Path, row: dict[str, str], column: str) -> str:
    """The split that a row states. Raises InputError if it is none of SPLITS."""
    if row[column] not in SPLITS:
        raise InputError(f"{path} line {row['#']}: {column} '{row[column]}' must be one of {', '.join(SPLITS)}; "
                         "correct the line")
    return row[column]


def read_box(path: Path, row: dict[str, str]) -> tuple[float, float, float, float] | None:
    """The box in a row's columns x1, y1, x2, y2, in pixels; None if all four are empty."""
    sides = [row.get(side, "") for side in ("x1", "y1", "x2", "y2")]
    if not any(sides):
        return None
    try:
        x1, y1, x2, y2 = map(float, sides)
    except ValueError:
        raise InputError(f"{path} line {row['#']}: the box {sides} is not four numbers; correct the line") from None
    return x1, y1, x2, y2
