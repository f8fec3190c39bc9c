"""A table of conf/table, filled from the evaluations that were found, with the paper's printed numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from statistics import fmean
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

from vrft_aug.evaluation.metrics.comparison import Comparison, constant_mark
from vrft_aug.evaluation.metrics.intervals import estimate
from vrft_aug.evaluation.report.paper.paper_numbers import AVERAGE, METHODS, Printed, key, read
from vrft_aug.evaluation.report.result_tables import quoted_accuracy
from vrft_aug.evaluation.runs import Evaluation, Training
from vrft_aug.experiments.cells import Cell, row_cells

FACTS = ("experiment", "dataset", "shots", "policy_name")
Run = TypeVar("Run", Evaluation, Training)


@dataclass(frozen=True)
class Entry:
    """A cell, the run that fills it and the paper's number; each of the two may be missing."""

    cell: Cell
    own: Comparison | None
    printed: Printed | None

    @property
    def printed_mark(self) -> str:
        """† or ‡ of the paper's number, where our test set has the paper's size."""
        if not (self.own and self.printed) or self.own.metrics["n"] != self.printed.n:
            return ""
        return constant_mark(self.own.metrics | {"accuracy": self.printed.interval()})


@dataclass(frozen=True)
class Row:
    label: str
    entries: list[Entry]  # one a data set
    printed_average: Printed | None

    @property
    def shots(self) -> int | None:
        """Training images a class; None: all."""
        cell = self.entries[0].cell
        return 0 if cell.experiment == "zero_shot" else cell.shots

    def average(self) -> dict[str, float | None]:
        """Mean accuracy of the cells that stand, with the interval of independent sets (Zou and Donner 2008)."""
        found = [quoted_accuracy(entry.own.metrics) for entry in self.entries if entry.own]
        if not found:
            return estimate(None)
        mean = fmean(one["value"] for one in found)
        below = hypot(*(one["value"] - one["low"] for one in found)) / len(found)
        above = hypot(*(one["high"] - one["value"] for one in found)) / len(found)
        return estimate(mean, mean - below, mean + above)


@dataclass(frozen=True)
class PaperTable:
    name: str  # of the file in conf/table
    title: str
    datasets: list[str]
    rows: list[Row]
    notes: list[str]

    @property
    def entries(self) -> list[Entry]:
        return [entry for row in self.rows for entry in row.entries]


def fill(
    config: DictConfig, name: str, comparisons: Sequence[Comparison], objectives: Mapping[str, str | None]
) -> PaperTable:
    """Args:
        config: the config group `table`; name: its choice, which says whether the paper has such a table.
        objectives: of each experiment the objective that its own runs carry; None: any.
    Raises:
        InputError: a malformed row of the table.
    """
    spec = OmegaConf.to_container(config, resolve=True)
    printed, notes = read(name), []
    straight = {}
    for one in comparisons:
        if not one.dataset.endswith("/localization"):
            straight.setdefault(one.evaluation.folder, one)
    evaluations = [one.evaluation for one in straight.values()]

    def entry(cell: Cell, larger: bool) -> Entry:
        found = standing(cell, evaluations, "test", objectives.get(cell.experiment), notes)
        if found and found.run.get("protocol") not in (None, spec["protocol"]):
            notes.append(f"{cell.folder}: evaluated by protocol={found.run['protocol']}, not {spec['protocol']}")
        return Entry(cell, straight[found.folder] if found else None, printed.get(key(cell, larger, cell.dataset)))

    rows = []
    for row in spec["rows"]:
        larger = row.get("policy") == "larger"
        for cells in zip(*(row_cells(spec, row, dataset) for dataset in spec["datasets"]), strict=True):
            average = printed.get(key(cells[0], larger, AVERAGE)) if _all_of_papers(spec, printed) else None
            rows.append(Row(_label(cells[0], larger), [entry(cell, larger) for cell in cells], average))
    return PaperTable(name, spec["title"], spec["datasets"], rows, [*_reading(rows, bool(printed)), *notes])


def standing(
    cell: Cell, runs: Iterable[Run], stage: str, objective: str | None, notes: list[str] | None = None
) -> Run | None:
    """The run that fills a cell: the facts of its run.json are the cell's. Of several the one in the cell's own folder
    counts, else the last; `notes` then gains a line."""
    facts = (cell.experiment, cell.dataset, cell.shots, cell.policy)
    objective = cell.objective or objective
    found = [
        run
        for run in runs
        if tuple(run.run.get(fact) for fact in FACTS) == facts and objective in (None, run.run.get("objective"))
    ]
    own = [run for run in found if run.folder.as_posix().endswith(f"/{cell.folder}/{stage}")]
    chosen = (own or found or [None])[-1]
    if notes is not None and len(found) > 1:
        notes.append(f"{cell.folder}: {len(found)} runs fit, the one in {chosen.folder} is shown")
    return chosen


def _all_of_papers(spec: dict, printed: dict) -> bool:
    return set(spec["datasets"]) == {dataset for *_, dataset in printed} - {AVERAGE}


def _reading(rows: Sequence[Row], in_paper: bool) -> Iterable[str]:
    cells = [entry.cell for row in rows for entry in row.entries]
    policies = " and ".join(dict.fromkeys(cell.policy for cell in cells))
    ours = f"Accuracy in per cent with its 95 % interval, n test images. Policy: {policies}."
    papers = " Below it the paper's number, for Qwen2.5-VL-3B (7B in the row of the larger policy)."
    yield ours + (papers if in_paper else "")
    objectives = {(cell.dataset, cell.objective): [] for cell in cells if cell.objective}
    for row in rows:
        for cell in (entry.cell for entry in row.entries if entry.cell.objective):
            objectives[cell.dataset, cell.objective].append(row.label)
    for (dataset, objective), labels in objectives.items():
        yield f"{dataset}: objective={objective} in {', '.join(dict.fromkeys(labels))}"


def _label(cell: Cell, larger: bool) -> str:
    label = METHODS.get(cell.experiment, cell.experiment)
    return f"{label}, {cell.policy}" if larger or cell.experiment == "zero_shot" else label
