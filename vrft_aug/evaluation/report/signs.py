"""Makes the table of signs of reward hacking: the last and the worst value of each measure, and its bound."""

import re
from collections.abc import Iterator, Sequence

from vrft_aug.evaluation.report.text_table import Table
from vrft_aug.evaluation.runs import Training
from vrft_aug.rewards.diagnostics import BOUNDS, MEANING, Bound

CROSSED = "▲"
HEADER = ["Training", "Data set", "Task", "Measure", "Last", "Worst", "Bound", "Crossed"]


def sign_table(trainings: Sequence[Training]) -> Table | None:
    """One row per training, task and measure of vrft_aug/rewards/diagnostics.py; None if none was logged."""
    rows = [row for one in trainings for row in _rows(one)]
    return Table("Signs of reward hacking", HEADER, rows) if rows else None


def explained(table: Table) -> list[str]:
    """Explains the mark of `sign_table`, if a row has it, and every measure in the table."""
    marked = any(row[-1] for row in table.rows)
    reading = f"{CROSSED}: the last value is outside its bound; ({CROSSED}): only earlier values were outside."
    measures = dict.fromkeys(row[3] for row in table.rows)
    return [reading] * marked + [f"{measure}, outside its bound: {MEANING[measure]}" for measure in measures]


def _rows(one: Training) -> Iterator[list[str]]:
    for name in one.steps.columns:
        match = re.fullmatch(r"reward/([^/]+)/([^/]+)", name)
        values = one.values(name)
        if match and match[2] in BOUNDS and len(values):
            low, high = bound = BOUNDS[match[2]]
            position = int(values.argmin() if high is None else values.argmax())
            last, worst = values.iloc[-1], values.iloc[position]
            mark = CROSSED if _outside(last, bound) else f"({CROSSED})" if _outside(worst, bound) else ""
            limit = f"at least {low:g}" if high is None else f"at most {high:g}"
            worst_text = f"{worst:.3g} (step {values.index[position]})"
            yield [one.name, one.facts.dataset, match[1], match[2], f"{last:.3g}", worst_text, limit, mark]


def _outside(value: float, bound: Bound) -> bool:
    low, high = bound
    return (low is not None and value < low) or (high is not None and value > high)
