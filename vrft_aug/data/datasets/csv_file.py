"""Read a CSV file into checked rows; the errors name the file and the line."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vrft_aug.errors import InputError


def read_table(path: Path, columns: Sequence[str], remedy: str) -> list[dict[str, str]]:
    """All rows as dicts of stripped strings, with the line number under `#`.

    columns: those that must be there. remedy: what to do when the file is missing or malformed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: no column {', '.join(missing)}; {remedy}")
            return list(_rows(path, reader))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: unreadable CSV ({error}); {remedy}") from None


def _rows(path: Path, reader: csv.DictReader) -> Iterator[dict[str, str]]:
    for row in reader:
        if None in row or None in row.values():
            raise InputError(f"{path} line {reader.line_num}: {len(row)} fields do not match the header; mend the line")
        yield {key: value.strip() for key, value in row.items()} | {"#": str(reader.line_num)}


def unique(path: Path, rows: Sequence[dict[str, str]], key: Callable[[dict[str, str]], str]) -> None:
    """Refuse two rows of one key."""
    lines: dict[str, str] = {}
    for row in rows:
        name = key(row)
        if name in lines:
            raise InputError(f"{path} line {row['#']}: {name} stands in line {lines[name]} too; remove one of them")
        lines[name] = row["#"]


def read_box(path: Path, row: dict[str, str]) -> tuple[float, float, float, float] | None:
    """The box of a row's columns x1, y1, x2, y2, in pixels; None where all four are empty."""
    sides = [row.get(side, "") for side in ("x1", "y1", "x2", "y2")]
    if not any(sides):
        return None
    try:
        x1, y1, x2, y2 = map(float, sides)
    except ValueError:
        raise InputError(f"{path} line {row['#']}: the box {sides} is not four numbers; mend the line") from None
    return x1, y1, x2, y2
