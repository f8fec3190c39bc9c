"""Makes the table of signs of reward hacking: the last and the worst value of each measure, and its bound."""

import math
import re
from collections.abc import Iterator, Sequence

from vrft_aug.evaluation.report.text_table import Table
from vrft_aug.evaluation.runs import Training
from vrft_aug.rewards.diagnostics import MEANING, NO_BOUND, Bound

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
        if match and (bound := one.bound(name)) != NO_BOUND and len(values):
            low, high = bound
            beyond = [_beyond(value, bound) for value in values]
            position = beyond.index(max(beyond))
            last, worst = values.iloc[-1], values.iloc[position]
            mark = CROSSED if beyond[-1] > 0 else f"({CROSSED})" if beyond[position] > 0 else ""
            sides = [f"{word} {side:g}" for word, side in (("at least", low), ("at most", high)) if side is not None]
            worst_text = f"{worst:.3g} (step {values.index[position]})"
            yield [one.name, one.facts.dataset, match[1], match[2], f"{last:.3g}", worst_text, ", ".join(sides), mark]


def _beyond(value: float, bound: Bound) -> float:
    """How far a value lies outside its bound; below 0 inside it."""
    low, high = bound
    return max(-math.inf if low is None else low - value, -math.inf if high is None else value - high)
