"""Fills a table of conf/table with the accuracies of the evaluations found and the numbers that the paper prints."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.seeds import Spread, aligned, spread
from vrft_aug.evaluation.report.paper.paper_notes import reading
from vrft_aug.evaluation.report.paper.paper_numbers import AVERAGE, key, method, read
from vrft_aug.evaluation.report.paper.paper_rows import Entry, PaperTable, Row
from vrft_aug.evaluation.runs import FURTHER, Evaluation, Facts, Training
from vrft_aug.experiments.cells import PAPERS, Cell, Table, row_cells

Objectives = Mapping[str, str | None]  # experiment -> the objective of its runs; None: any
Run = TypeVar("Run", Evaluation, Training)


def fill(
    table: Table,
    name: str,
    comparisons: Sequence[Comparison],
    objectives: Objectives,
    untrained: Collection[tuple[str, str]] = (),
) -> PaperTable:
    """Each cell with its runs and the paper's number, which is found by `name`: the table's file in conf/table.

    untrained: (experiment, policy) without any training: a greedy run of one seed is then the run of every seed.
    """
    printed = read(name)
    has_average = set(table.datasets) == {dataset for *_, dataset in printed} - {AVERAGE}  # over the same data sets
    notes: list[str] = []
    by_folder: dict[Path, Comparison] = {}
    for one in sorted(comparisons, key=lambda one: one.dataset.endswith("/localization")):  # a diagnosis goes first
        by_folder.setdefault(one.evaluation.folder, one)
    evaluations = [one.evaluation for one in by_folder.values()]

    def run(cell: Cell) -> Comparison | None:
        found = run_of(cell, evaluations, "test", objectives.get(cell.experiment), notes)
        if found and found.facts.protocol not in (None, table.protocol):
            notes.append(f"{cell.folder}: evaluated with protocol={found.facts.protocol}, not {table.protocol}")
        return by_folder[found.folder] if found else None

    def entry(cell: Cell, larger: bool, asked: bool) -> Entry:
        number = printed.get(key(cell, larger, cell.dataset))
        if not asked:
            return Entry(cell, None, number, tuple(None for _ in table.cell_seeds), asked=False)
        runs = [run(replace(cell, seed=seed)) for seed in table.cell_seeds]
        own = next(filter(None, runs), None)
        if own and (cell.experiment, cell.policy) in untrained and _greedy(own):
            runs = [one or own for one in runs]
        return Entry(cell, own, number, tuple(runs), _spread(cell, runs, notes))

    rows = []
    for row in table.rows:
        larger = row.policy == "larger"
        for cells in zip(*(row_cells(table, row, dataset) for dataset in table.datasets), strict=True):
            average = printed.get(key(cells[0], larger, AVERAGE)) if has_average else None
            entries = [entry(cell, larger, row.has(cell.dataset)) for cell in cells]
            rows.append(Row(_label(cells[0], larger), entries, average))
    notes = [*reading(rows, bool(printed), table), *notes]
    return PaperTable(name, table.title, table.datasets, rows, notes, table.cell_seeds)


def _greedy(own: Comparison) -> bool:
    return not (own.evaluation.facts.sampling or {}).get("temperature")


def _spread(cell: Cell, runs: Sequence[Comparison | None], notes: list[str]) -> Spread | None:
    """Over the seeds with a run; None if they have the same run, or not the same test images."""
    found = [one for one in runs if one]
    if 0 < len(found) < len(runs):
        notes.append(f"{cell.folder}: {len(found)} of {len(runs)} seeds have a run")
    if len({one.evaluation.folder for one in found}) < 2:
        return None
    try:
        tables = aligned([one.evaluation.rows_on(one.dataset, ["group_id", "acc"]) for one in found])
    except InputError as error:
        notes.append(f"{cell.folder}: only the first seed is shown: {error}")
        return None
    columns = np.column_stack([table["acc"] for table in tables])
    return spread(columns, tables[0]["group_id"].to_numpy(), generator(0, "seeds"))


def run_of(
    cell: Cell, runs: Iterable[Run], stage: str, objective: str | None, notes: list[str] | None = None
) -> Run | None:
    """The run that fills a cell: its run.json states the cell's facts.

    If several runs do, the run in the cell's own folder is taken, or else the last; `notes` gets a line about it. A
    further training (`fine_tune`) never fills a cell: it states the experiment that it takes its settings from.
    """
    objective = cell.objective or objective
    found = [run for run in runs if _fits(cell, run.facts) and objective in (None, run.facts.objective)
             and not FURTHER.fullmatch(run.folder.name)]  # fmt: skip
    own = [run for run in found if run.folder.as_posix().endswith(f"/{cell.folder}/{stage}")]
    chosen = next(reversed(own or found), None)
    if chosen and notes is not None and len(found) > 1:
        notes.append(f"{cell.folder}: {len(found)} runs fit; the run in {chosen.folder} is shown")
    return chosen


def _fits(cell: Cell, facts: Facts) -> bool:
    stated = (facts.experiment, facts.dataset, facts.shots, facts.policy_name)
    same = stated == (cell.experiment, cell.dataset, cell.shots, cell.policy) and cell.seed in (None, facts.seed)
    return same and (cell.variant or PAPERS) == (facts.variant or PAPERS)


def _label(cell: Cell, larger: bool) -> str:
    label = method(cell)
    return f"{label}, {cell.policy}" if larger or cell.experiment == "zero_shot" else label
