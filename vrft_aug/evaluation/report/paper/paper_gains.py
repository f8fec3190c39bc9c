"""Compares the rows of a table of the paper: the best numbers of each column, and the gains over V-RFT."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.comparison import paired
from vrft_aug.evaluation.report.paper.paper_numbers import Printed
from vrft_aug.evaluation.report.paper.paper_pairs import difference
from vrft_aug.evaluation.report.paper.paper_rows import Entry, Row

BASE = "v_rft"  # the experiment that the paper's Δ rows compare with
BEST, SECOND = "best", "second"
OURS, PAPERS = 0, -1  # first and last line of a table's cell
Number = Callable[[Row, int], float | None]  # of a row and a column; the column after the data sets is the average


@dataclass(frozen=True)
class Gain:
    """An accuracy minus that of V-RFT, in [-1, 1]: ours, its p-value, and the paper's; None if unknown."""

    own: float | None
    p: float | None
    printed: float | None


@dataclass(frozen=True)
class Gains:
    """The Δ row of a method: one gain per data set, and their average."""

    row: Row
    entries: list[Gain]
    printed_average: float | None

    @property
    def found(self) -> list[float]:
        return [one.own for one in self.entries if one.own is not None]

    @property
    def average(self) -> float | None:
        """Mean of our gains on the data sets where both methods have a run."""
        return fmean(self.found) if self.found else None


def gains(row: Row, rows: Sequence[Row]) -> Gains | None:
    """The gains of a variant of V-RFT over V-RFT with the same policy and number of images; None without such rows."""
    cell = row.cell
    like = [one for one in rows if (one.cell.policy, one.shots) == (cell.policy, row.shots)]
    base = next((one for one in like if (one.cell.experiment, one.cell.variant) == (BASE, None)), None)
    if base is None or base is row or not f"{cell.experiment}_".startswith(f"{BASE}_"):
        return None
    entries = [_gain(one, other) for one, other in zip(row.entries, base.entries, strict=True)]
    return Gains(row, entries, _printed_gain(row.printed_average, base.printed_average))


def ranks(values: Sequence[float | None]) -> list[str]:
    """BEST, SECOND or "" for each value; equal values share a rank. A single value is not compared with anything."""
    known = [round(value, 9) for value in values if value is not None]
    order = sorted(set(known), reverse=True) if len(known) > 1 else []
    places = dict(zip(order, (BEST, SECOND), strict=False))
    return ["" if value is None else places.get(round(value, 9), "") for value in values]


def emphasis(rows: Sequence[Row]) -> dict[tuple[int, int, int], str]:
    """{(row, column, OURS or PAPERS): BEST or SECOND}, among the trained rows with the same number of images."""
    return {place: rank for block in _blocks(rows) for place, rank in _ranked(rows, block) if rank}


def _blocks(rows: Sequence[Row]) -> list[list[int]]:
    shots = dict.fromkeys(row.shots for row in rows if row.shots != 0)
    return [[i for i, row in enumerate(rows) if row.shots == one] for one in shots]


def _ranked(rows: Sequence[Row], block: list[int]) -> Iterator[tuple[tuple[int, int, int], str]]:
    numbers: dict[int, Number] = {OURS: _own, PAPERS: _papers}
    for column in range(len(rows[0].entries) + 1):
        for line, number in numbers.items():
            values = [number(rows[i], column) for i in block]
            yield from (((i, column, line), rank) for i, rank in zip(block, ranks(values), strict=True))


def _own(row: Row, column: int) -> float | None:
    if column < len(row.entries):
        own = row.entries[column].accuracy
        return own["value"] if own else None
    return row.average()["value"] if row.found == len(row.entries) else None  # else it is of other data sets


def _papers(row: Row, column: int) -> float | None:
    printed = row.entries[column].printed if column < len(row.entries) else row.printed_average
    return printed.accuracy if printed else None


def _gain(one: Entry, base: Entry) -> Gain:
    printed = _printed_gain(one.printed, base.printed)
    if not (one.accuracy and base.accuracy):
        return Gain(None, None, printed)
    ours, theirs = one.accuracy["value"], base.accuracy["value"]
    own = None if ours is None or theirs is None else ours - theirs
    return Gain(own, _p(one, base), printed)


def _p(one: Entry, base: Entry) -> float | None:
    """McNemar's test of two runs; of several seeds, the bootstrap over seeds and images."""
    if not (one.spread or base.spread) and one.own and base.own:
        test = paired(base.own, one.own)
        return test and test["p"]
    try:
        return difference(one, base).replicates.p()
    except InputError:
        return None


def _printed_gain(one: Printed | None, base: Printed | None) -> float | None:
    """As printed; where the paper prints none, the difference of its numbers."""
    if one is None or base is None:
        return None
    return (one.accuracy - base.accuracy if one.delta is None else one.delta) / 100
