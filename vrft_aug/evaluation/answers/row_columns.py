"""Copies what a prepared row says of its image into the columns of a predictions table."""

from collections.abc import Mapping
from typing import Any

from vrft_aug.rewards.parsing import FORMS

SLICE, READER = "slice_", "reader_"  # a column's name is this and the name of the slice or of the reader


def row_columns(info: Mapping[str, Any]) -> dict[str, Any]:
    """task, index, source_id, group_id, form, classes, slice_<name> and reader_<name>. info: `extra_info` of the row.

    Rows that an earlier version prepared have no form, no slices and no readers.
    """
    columns = {key: info[key] for key in ("task", "index", "source_id", "group_id")}
    columns |= {"form": info.get("form") or FORMS[0], "classes": list(info["classes"])}
    for key, start in (("slices", SLICE), ("readers", READER)):
        tags = info.get(key)
        columns |= {start + tag["name"]: tag["value"] for tag in (() if tags is None else tags)}
    return columns


def names_of(start: str, columns: Any) -> list[str]:
    """The names of the slices (start: SLICE) or of the readers (READER) in the columns of a table, in their order."""
    return [column.removeprefix(start) for column in columns if column.startswith(start)]
