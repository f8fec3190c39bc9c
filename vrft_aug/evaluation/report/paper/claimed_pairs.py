"""Finds the cells of a table that a claim compares, which of them are missing, and what the paper found there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from vrft_aug.evaluation.report.paper.paper_numbers import Printed
from vrft_aug.evaluation.report.paper.paper_rows import Entry, PaperTable, Row
from vrft_aug.experiments.cells import PAPERS, Table
from vrft_aug.experiments.claims import Claim


class Pair(NamedTuple):
    """Two rows at one data set (column) that a claim compares; shots: images per class, where the claim says them."""

    better: Row
    worse: Row
    column: int
    shots: int | None

    @property
    def entries(self) -> tuple[Entry, Entry]:
        return self.better.entries[self.column], self.worse.entries[self.column]

    def at(self, axis: str) -> str:
        return self.entries[0].cell.dataset if axis == "datasets" else named(self.shots)


def named(shots: int | None) -> str:
    """Images per class as a text."""
    return "all images" if shots is None else f"{shots} images per class"


def pairs_of(claim: Claim, paper: PaperTable, table: Table) -> Iterator[Pair]:
    """What the claim compares, where the table has both rows; a policy without training is compared at any shots."""
    better = _rows(paper, table, claim.better, claim.better_policy, claim.better_variant)
    worse = _rows(paper, table, claim.worse, claim.worse_policy, claim.worse_variant)
    wanted = [(shots, shots) for shots in (claim.shots or _shots(better, worse))]
    if claim.better_shots is not None:
        wanted = [(claim.better_shots, claim.worse_shots)]
    for one, other in wanted:
        first, second = _at(better, one), _at(worse, other)
        if first and second:
            columns = [i for i, name in enumerate(paper.datasets) if claim.datasets is None or name in claim.datasets]
            pairs = (Pair(first, second, column, one) for column in columns)
            yield from (pair for pair in pairs if all(entry.asked for entry in pair.entries))


def _rows(paper: PaperTable, table: Table, experiment: str, policy: str | None, variant: str | None) -> list[Row]:
    asked = experiment, variant or PAPERS
    rows = [row for row in paper.rows if (row.cell.experiment, row.cell.variant or PAPERS) == asked]
    wanted = table.larger_policy if policy == "larger" else policy or table.policy
    exact = [row for row in rows if row.cell.policy == wanted]
    return exact or ([] if policy else rows)


def _shots(better: Sequence[Row], worse: Sequence[Row]) -> list[int | None]:
    """The numbers of images at which both have a row; 0 (no training) goes with any."""
    several = [[row.shots for row in rows if row.shots != 0] for rows in (better, worse)]
    first, second = several[0] or several[1] or [0], several[1] or several[0] or [0]
    return [shots for shots in first if shots in second]


def _at(rows: Sequence[Row], shots: int | None) -> Row | None:
    return next((row for row in rows if row.shots in (shots, 0)), None)


def missing(claim: Claim, pairs: Sequence[Pair], paper: PaperTable) -> str:
    """Which cells are missing: of the table, or with no run; "" if none."""
    lacking = [name for name in claim.datasets or [] if name not in paper.datasets]
    lacking += [named(shots) for shots in claim.shots or [] if shots not in [one.shots for one in pairs]]
    if lacking or not pairs:
        ends = zip(claim.ends, (claim.better_shots, claim.worse_shots), strict=True)
        both = " and ".join(name if shots is None else f"{name} with {named(shots)}" for name, shots in ends)
        what = ", ".join(lacking) or f"pair of cells of {both}"
        return f"the table has no {what}"
    cells = list(dict.fromkeys(
        replace(entry.cell, seed=seed).folder for pair in pairs for entry in pair.entries
        for seed, run in zip(paper.seeds, entry.runs, strict=True) if run is None
    ))  # fmt: skip
    more = f" and {len(cells) - 4} more" if len(cells) > 4 else ""
    return f"{', '.join(cells[:4])}{more} {'is' if len(cells) == 1 else 'are'} missing" if cells else ""


def printed(pairs: Sequence[Pair], paper: PaperTable) -> float | None:
    """The mean difference of the paper's numbers; where the pairs are of all data sets, of its averages. None if it
    does not print them all."""
    gaps: list[float | None] = []
    for better, worse in {(id(pair.better), id(pair.worse)): (pair.better, pair.worse) for pair in pairs}.values():
        columns = [pair.column for pair in pairs if pair.better is better and pair.worse is worse]
        averages = (better.printed_average, worse.printed_average)
        if len(columns) == len(paper.datasets) and all(averages):
            gaps += [_gap(*averages)] * len(columns)
        else:
            gaps += [_gap(better.entries[i].printed, worse.entries[i].printed) for i in columns]
    known = [gap for gap in gaps if gap is not None]
    return fmean(known) / 100 if known and len(known) == len(gaps) else None


def _gap(better: Printed | None, worse: Printed | None) -> float | None:
    return better.accuracy - worse.accuracy if better and worse else None
