"""Reads what divides a table's images into slices (sex, age, site), and the classes that human readers gave them."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vrft_aug.data.datasets.csv_file import Row, Table
from vrft_aug.errors import InputError

Limits = Sequence[float]
Asked = str | Mapping[str, Limits | None] | Sequence[str | Mapping[str, Limits | None]]
MOST = 50  # values of a column; more are names or numbers, not slices
UNKNOWN = ("", "unknown", "na", "n/a", "nan")  # what tables write for a value that is not known, in any case
FORM = "name columns of the table, as [sex, site], and cut numbers into bands, as {age: [40, 60]}"


def read_slices(table: Table, asked: Asked) -> list[dict[str, str]]:
    """The slice of each row in each column: the value as it is written, or its band of numbers; "" where unknown.

    asked: names of columns; {column: limits} cuts the column's numbers into bands, so that [40, 60] gives "under 40",
    "40-59" and "60+". A value that is no number is then a mistake. Raises InputError for an unknown column and for
    limits that do not ascend, and for a column with more than 50 values.
    """
    columns = dict(_pairs(asked))
    check_columns(table, columns, "slices")
    for column, limits in columns.items():
        _check_limits(column, limits)
    found = _shared({column: _value(table, row, column, limits) for column, limits in columns.items()}
                    for row in table.rows)  # fmt: skip
    for column in columns:
        if (number := len({row[column] for row in found})) > MOST:
            raise InputError(f"dataset.loader.slices: column {column} of {table.path} has {number} values, too many "
                             f"for slices; leave it out, or cut its numbers into bands, as {{{column}: [40, 60]}}")
    return found


def read_readers(table: Table, asked: Mapping[str, str], classes: Sequence[str]) -> list[dict[str, str]]:
    """The class that each human reader gave each row; "" for none. Another word is a mistake.

    asked: {name of the reader: column}. Raises InputError for an unknown column.
    """
    check_columns(table, asked.values(), "readers")
    return _shared({name: _class(table, row, name, row[column], classes) for name, column in asked.items()}
                   for row in table.rows)  # fmt: skip


def columns_of(asked: Asked) -> list[str]:
    """The names of the columns that `read_slices` reads."""
    return [column for column, _ in _pairs(asked)]


def check_columns(table: Table, names: Any, key: str) -> None:
    """Raise InputError, which lists the table's columns, if it lacks one of these. key: of the loader's settings."""
    for name in names:
        if name not in table.header:
            raise InputError(f"dataset.loader.{key}: {table.path} has no column '{name}'; its columns are "
                             f"{', '.join(table.header)}")


def band(number: float, limits: Limits) -> str:
    """The name of the band that holds a number. A band begins with its lower limit and ends before the next one."""
    place = sum(number >= limit for limit in limits)
    if place == 0:
        return f"under {limits[0]:g}"
    if place == len(limits):
        return f"{limits[-1]:g}+"
    low, high = limits[place - 1], limits[place]
    whole = all(float(limit).is_integer() for limit in limits)
    return f"{low:g}-{high - 1:g}" if whole else f"{low:g} to under {high:g}"


def _pairs(asked: Asked) -> Iterator[tuple[str, Limits | None]]:
    for one in [asked] if isinstance(asked, str | Mapping) else asked:
        if isinstance(one, Mapping):
            yield from one.items()
        elif isinstance(one, str):
            yield one, None
        else:
            raise InputError(f"dataset.loader.slices: {one!r} is no column; {FORM}")


def _shared(found: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The same dicts; equal ones are one object, because a million rows have few different ones."""
    known: dict[tuple[str, ...], dict[str, str]] = {}
    return [known.setdefault(tuple(one.values()), one) for one in found]


def _check_limits(column: str, limits: Any) -> None:
    numbers = [] if limits is None or isinstance(limits, str | int | float) else list(limits)
    fit = numbers and all(isinstance(one, int | float) for one in numbers) and numbers == sorted(set(numbers))
    if limits is not None and not fit:
        raise InputError(f"dataset.loader.slices: the limits {limits} of {column} must be ascending numbers; {FORM}")


def _value(table: Table, row: Row, column: str, limits: Limits | None) -> str:
    text = row[column]
    if text.lower() in UNKNOWN:
        return ""
    if limits is None:
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        table.add(row, f"{column} '{text}' is no number", f"leave {column} empty where it is unknown")
        return ""
    return band(number, limits)


def _class(table: Table, row: Row, reader: str, text: str, classes: Sequence[str]) -> str:
    if text and text not in classes:
        table.add(row, f"reader {reader} gives '{text}', which is not a class",
                  f"the classes of the data set's YAML are {', '.join(classes)}: correct it or leave it empty")
        return ""
    return text
