"""Signs of reward hacking in the trainings: each measure's last and worst value beside its bound."""

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from vrft_aug.evaluation.report.text_table import Table
from vrft_aug.evaluation.runs import Training
from vrft_aug.rewards.diagnostics import BOUNDS, MEANING, Bound

CROSSED = "▲"
HEADER = ["Training", "Data set", "Task", "Measure", "Last", "Worst", "Bound", "Crossed"]


def sign_table(trainings: Sequence[Training]) -> Table | None:
    """A row a training, task and measure of vrft_aug/rewards/diagnostics.py; None where none was logged."""
    rows = [row for one in trainings for row in _rows(one)]
    return Table("Signs of reward hacking", HEADER, rows) if rows else None


def crossed(table: Table) -> list[str]:
    """What the crossed measures of `sign_table` mean, and how to read the mark."""
    measures = dict.fromkeys(row[3] for row in table.rows if row[-1])
    reading = f"{CROSSED}: the last value is outside its bound; {CROSSED} in brackets: an earlier step's was."
    return [reading, *(f"{measure}: {MEANING[measure]}" for measure in measures)] if measures else []


def _rows(one: Training) -> Iterator[list[str]]:
    for name in one.steps.columns:
        match = re.fullmatch(r"reward/([^/]+)/([^/]+)", name)
        values = one.steps[name].dropna()
        if match and match[2] in BOUNDS and len(values):
            low, high = bound = BOUNDS[match[2]]
            worst = values.idxmin() if high is None else values.idxmax()
            last = _outside(values.iloc[-1], bound)
            mark = CROSSED if last else f"({CROSSED})" if _outside(values[worst], bound) else ""
            limit = f"at least {low:g}" if high is None else f"at most {high:g}"
            worst_text = f"{_text(values[worst])} (step {worst})"
            yield [one.name, one.dataset, match[1], match[2], _text(values.iloc[-1]), worst_text, limit, mark]


def _outside(value: float, bound: Bound) -> bool:
    low, high = bound
    return (low is not None and value < low) or (high is not None and value > high)


def _text(value: float) -> str:
    return f"{value:.3g}" if pd.notna(value) else "–"
