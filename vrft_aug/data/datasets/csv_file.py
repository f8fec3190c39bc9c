"""Reads a CSV file into checked rows; one error shows the first ten mistakes with their lines.

A row is a dict, but only while somebody looks at it: the rows of a million images lie in arrow's columns. A file that
was read before, with the same bytes, is not parsed again: a preparation asks for each split twice.
"""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from vrft_aug.data.columns import Columns
from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import SPLITS
from vrft_aug.errors import InputError

Row = dict[str, str]  # column -> text without outer spaces; the line number under `#`
SHOWN = 10  # mistakes per error
SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}  # what other programs write instead of commas


@dataclass
class Table:
    """The columns and rows of a CSV file, and the mistakes found in them so far: (line, what is wrong, remedy).

    A loader checks every row with the methods, which only note mistakes. Then it calls `raise_if_any` once.
    """

    path: Path
    entry: str = field(default="line", kw_only=True)  # what a row is in the file
    header: list[str] = field(default_factory=list)
    rows: Sequence[Row] = ()
    mistakes: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, row: Row, fault: str, remedy: str = "correct the line") -> None:
        self.mistakes.append((int(row["#"]), fault, remedy))

    def raise_if_any(self) -> None:
        """Raise InputError, in one line, if there are mistakes."""
        found = sorted(self.mistakes, key=lambda mistake: mistake[0])
        if not found:
            return
        lines = "; ".join(f"{self.entry} {line}: {fault}" for line, fault, _ in found[:SHOWN])
        more = f" (... and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
        start = f"{self.path} " if len(found) == 1 else f"{self.path}: {len(found)} mistakes: "
        raise InputError("; ".join([f"{start}{lines}{more}", *dict.fromkeys(remedy for _, _, remedy in found)]))

    def place(self, row: Row) -> str:
        """Where a row is, for the messages of later steps."""
        return f"{self.path} {self.entry} {row['#']}"

    def split(self, row: Row, column: str) -> str:
        """The split that a row names. Another word is a mistake."""
        if row[column] not in SPLITS:
            self.add(row, f"{column} '{row[column]}' is none of {', '.join(SPLITS)}")
        return row[column]

    def below(self, row: Row, name: str) -> bool:
        """Whether the path that a row names stays in the table's folder. If not, it is a mistake."""
        stays = not os.path.isabs(name) and os.path.normpath(name).split(os.sep)[0] != os.pardir
        if not stays:
            self.add(row, f"'{name}' leaves the folder of the table",
                     "write paths relative to the table, without '..', and put (or link) the images into its folder")
        return stays

    def exists(self, row: Row, name: str) -> bool:
        """Whether the file that a row names exists in the table's folder. If not, it is a mistake."""
        if not self.below(row, name):
            return False
        found = os.path.isfile(os.path.join(self.path.parent, name))
        if not found:
            self.add(row, f"no such image '{name}'",
                     "paths are relative to the table: restore the file or remove the line")
        return found

    def box(self, row: Row) -> Box | None:
        """The box in a row's columns x1, y1, x2, y2, in pixels; None if all four are empty. A bad box is a mistake."""
        sides = [row.get(side, "") for side in ("x1", "y1", "x2", "y2")]
        if not any(sides):
            return None
        remedy = "write boxes as x1,y1,x2,y2 in pixels of the image"
        try:
            x1, y1, x2, y2 = map(float, sides)
        except ValueError:
            self.add(row, f"the box {sides} is not four numbers", remedy)
            return None
        if not (0 <= x1 < x2 and 0 <= y1 < y2):
            self.add(row, f"the box {sides} does not fit 0 <= x1 < x2 and 0 <= y1 < y2", remedy)
        return x1, y1, x2, y2


def read_table(path: Path, key: Sequence[str], columns: Sequence[str], remedy: str) -> Table:
    """All rows of a file. A line of a wrong length and a second line with the same key are mistakes, not rows.

    key: required columns that together identify a row; without any, equal rows are allowed. columns: other required
    columns. remedy: what to do if the file is missing or has other columns; part of the InputError, which is raised at
    once for these faults.
    """
    try:
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        table = parsed(path, checksum, tuple(key), tuple(columns), remedy)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: unreadable CSV ({error}); save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: unreadable CSV ({error}); {remedy}") from None
    if not (table.rows or table.mistakes):
        raise InputError(f"{path}: no line below the header; {remedy}")
    return replace(table, mistakes=[*table.mistakes])


@lru_cache(maxsize=2)  # a list of images and a list of boxes
def parsed(path: Path, checksum: str, key: Sequence[str], columns: Sequence[str], remedy: str) -> Table:
    """The table of a file with this checksum. Its rows are shared by all who ask for it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        table = Table(path, [name.strip() for name in next(lines, [])])
        check_header(table, [*key, *columns], remedy)
        names = [*dict.fromkeys(["#", *table.header])]
        rows: Columns[Row] = Columns(pa.schema([(name, pa.string()) for name in names]),
                                     lambda values: dict(zip(names, values, strict=True)))  # fmt: skip
        for row in _rows(table, key, lines):
            rows.append(tuple(row.values()))
    return replace(table, rows=rows)


def check_header(table: Table, required: Sequence[str], remedy: str) -> None:
    """Raise InputError, which says what was found, if a column is missing or is there twice."""
    header = table.header
    missing = [column for column in required if column not in header]
    twice = [column for column in dict.fromkeys(header) if header.count(column) > 1]
    if not (missing or twice):
        return
    fault = f"no column {', '.join(missing)}" if missing else f"more than one column '{', '.join(twice)}'"
    for separator, name in SEPARATORS.items():
        if missing and any(separator in column for column in header):
            remedy = f"it looks separated by {name}: save it with commas"
    raise InputError(f"{table.path}: {fault}; line 1 is '{','.join(header)[:200]}'; {remedy}")


def _rows(table: Table, key: Sequence[str], lines: Any) -> Iterator[Row]:
    seen: dict[str, int] = {}
    for fields in lines:
        values, number = [value.strip() for value in fields], lines.line_num
        row = {"#": str(number)}
        if not any(values):  # an empty line
            continue
        if len(values) != len(table.header):
            table.add(row, f"the header has {len(table.header)} fields, this line {len(values)}")
            continue
        row |= zip(table.header, values, strict=True)
        name = "/".join(row[column] for column in key)
        if key and seen.setdefault(name, number) != number:
            table.add(row, f"{name} is also in line {seen[name]}", "remove one of the two lines")
        else:
            yield row
