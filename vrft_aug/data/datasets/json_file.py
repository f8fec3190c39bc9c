"""Reads a JSON file, a list of objects with texts and numbers, into the checked rows that a CSV file also gives."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vrft_aug.data.datasets.csv_file import Table, check_header
from vrft_aug.errors import InputError


def read_json(path: Path, columns: Sequence[str], remedy: str) -> Table:
    """All entries of a file as rows of texts without outer spaces; a key that an entry lacks, or null, is "".

    columns: keys that some entry must have. remedy: what to do if the file is missing or has other keys; part of the
    InputError, which is raised at once for these faults.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: unreadable JSON ({error}); {remedy}") from None
    if not (isinstance(content, list) and content and all(isinstance(one, dict) for one in content)):
        raise InputError(f"{path}: must be a list of objects, one per question; {remedy}")
    header = list(dict.fromkeys(key for one in content for key in one))
    rows = [{"#": str(number)} | {key: _text(one.get(key)) for key in header} for number, one in enumerate(content, 1)]
    table = Table(path, header, rows, entry="entry")
    check_header(table, columns, remedy)
    return table


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
