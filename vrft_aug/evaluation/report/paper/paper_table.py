"""Fills a table of conf/table with the accuracies of the evaluations found and the numbers that the paper prints."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report.paper.paper_notes import reading
from vrft_aug.evaluation.report.paper.paper_numbers import AVERAGE, METHODS, key, read
from vrft_aug.evaluation.report.paper.paper_rows import Entry, PaperTable, Row
from vrft_aug.evaluation.runs import Evaluation, Facts, Training
from vrft_aug.experiments.cells import Cell, Table, row_cells

Objectives = Mapping[str, str | None]  # experiment -> the objective of its runs; None: any
Run = TypeVar("Run", Evaluation, Training)


def fill(table: Table, name: str, comparisons: Sequence[Comparison], objectives: Objectives) -> PaperTable:
    """Each cell with its run and the paper's number, which is found by `name`: the table's file in conf/table."""
    printed = read(name)
    has_average = set(table.datasets) == {dataset for *_, dataset in printed} - {AVERAGE}  # over the same data sets
    notes: list[str] = []
    by_folder: dict[Path, Comparison] = {}
    for one in comparisons:
        if not one.dataset.endswith("/localization"):
            by_folder.setdefault(one.evaluation.folder, one)
    evaluations = [one.evaluation for one in by_folder.values()]

    def entry(cell: Cell, larger: bool) -> Entry:
        found = run_of(cell, evaluations, "test", objectives.get(cell.experiment), notes)
        if found and found.facts.protocol not in (None, table.protocol):
            notes.append(f"{cell.folder}: evaluated with protocol={found.facts.protocol}, not {table.protocol}")
        return Entry(cell, by_folder[found.folder] if found else None, printed.get(key(cell, larger, cell.dataset)))

    rows = []
    for row in table.rows:
        larger = row.policy == "larger"
        for cells in zip(*(row_cells(table, row, dataset) for dataset in table.datasets), strict=True):
            average = printed.get(key(cells[0], larger, AVERAGE)) if has_average else None
            rows.append(Row(_label(cells[0], larger), [entry(cell, larger) for cell in cells], average))
    return PaperTable(name, table.title, table.datasets, rows, [*reading(rows, bool(printed)), *notes])


def run_of(
    cell: Cell, runs: Iterable[Run], stage: str, objective: str | None, notes: list[str] | None = None
) -> Run | None:
    """The run that fills a cell: its run.json states the cell's facts.

    If several runs do, the run in the cell's own folder is taken, or else the last; `notes` gets a line about it. A
    second training (`fine_tune`) never fills a cell: it states the experiment that it takes its settings from.
    """
    objective = cell.objective or objective
    found = [run for run in runs if _fits(cell, run.facts) and objective in (None, run.facts.objective)
             and run.folder.name != "fine_tune"]  # fmt: skip
    own = [run for run in found if run.folder.as_posix().endswith(f"/{cell.folder}/{stage}")]
    chosen = next(reversed(own or found), None)
    if chosen and notes is not None and len(found) > 1:
        notes.append(f"{cell.folder}: {len(found)} runs fit; the run in {chosen.folder} is shown")
    return chosen


def _fits(cell: Cell, facts: Facts) -> bool:
    stated = (facts.experiment, facts.dataset, facts.shots, facts.policy_name)
    return stated == (cell.experiment, cell.dataset, cell.shots, cell.policy)


def _label(cell: Cell, larger: bool) -> str:
    label = METHODS.get(cell.experiment, cell.experiment)
    return f"{label}, {cell.policy}" if larger or cell.experiment == "zero_shot" else label
