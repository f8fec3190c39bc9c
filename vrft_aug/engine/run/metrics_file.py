"""Reads and writes metrics.jsonl, the metrics of a training: one line per step, from verl's "file" logger.

    {"step": 3, "data": {"critic/score/mean": 0.5, "actor/grad_norm": null}}

verl writes NaN as null. A step may have several lines; the later value of a metric counts. verl empties its file at
each start, so it writes to WRITTEN, and the run appends each new line to NAME. Both are in the run's folder.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from vrft_aug.errors import InputError
from vrft_aug.files import write_whole

NAME = "metrics.jsonl"
WRITTEN = ".metrics.jsonl"


def read_steps(file: Path) -> dict[int, dict[str, float]]:
    """step -> {metric: value} of a metrics.jsonl, with NaN for null; empty if there is no such file.

    A killed run may leave its last line unfinished, which is ignored. Raises InputError for any other malformed line.
    """
    steps: dict[int, dict[str, float]] = {}
    for step, data, _ in _records(file):
        steps.setdefault(step, {}).update(data)
    return steps


def take_new(folder: Path, offset: int) -> bytes:
    """Append to NAME the complete lines that WRITTEN has after its first `offset` bytes; return these lines."""
    if not (folder / WRITTEN).exists():
        return b""
    with (folder / WRITTEN).open("rb") as file:
        file.seek(offset)
        new = file.read()
    new = new[: new.rfind(b"\n") + 1]
    if new:
        with (folder / NAME).open("ab") as kept:
            kept.write(new)
    return new


def recover(folder: Path) -> None:
    """Add to NAME what verl wrote after an earlier run was killed, and remove unfinished lines."""
    lines = _lines(folder / NAME) + _lines(folder / WRITTEN)
    if lines:
        write_whole(folder / NAME, "".join(line for line in dict.fromkeys(lines) if line.endswith("\n")))


def drop_after(folder: Path, step: int) -> None:
    """Remove the steps after `step` from NAME: a resumed training does them again."""
    if (folder / NAME).exists():
        write_whole(folder / NAME, "".join(line for number, _, line in _records(folder / NAME) if number <= step))


def _records(file: Path) -> Iterator[tuple[int, dict[str, float], str]]:
    """(step, its metrics, the line) for each line."""
    lines = _lines(file)
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            data = {name: math.nan if value is None else value for name, value in record["data"].items()}
            step = int(record["step"])
        except (ValueError, KeyError, TypeError, AttributeError):
            if number < len(lines):
                raise InputError(f"{file}, line {number}: not verl's record of a step; delete the line") from None
        else:
            yield step, data, line


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
