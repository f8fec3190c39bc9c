"""Gathers what a report says: comparisons, curves, the filled table of the paper, its claims, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vrft_aug.evaluation.metrics.comparison import MARKS, Comparison, compare
from vrft_aug.evaluation.report.curves import curve
from vrft_aug.evaluation.report.panels import by_dataset
from vrft_aug.evaluation.report.paper.further_tables import further_tables
from vrft_aug.evaluation.report.paper.paper_claims import Outcome, judge
from vrft_aug.evaluation.report.paper.paper_figures import figure
from vrft_aug.evaluation.report.paper.paper_layout import footnotes
from vrft_aug.evaluation.report.paper.paper_rows import PaperTable
from vrft_aug.evaluation.report.paper.paper_table import Objectives, fill
from vrft_aug.evaluation.report.provenance import EXTERNAL_MEANING
from vrft_aug.evaluation.report.regression import FEATURES
from vrft_aug.evaluation.report.result_tables import LENIENT, THOUGHT
from vrft_aug.evaluation.report.text_table import Table as TextTable
from vrft_aug.evaluation.report.topics import Topic, topics
from vrft_aug.evaluation.runs import Found, Training, find
from vrft_aug.experiments.cells import Table


@dataclass(frozen=True)
class Asked:
    """A table of conf/table that the report fills."""

    name: str  # of the file
    table: Table
    objectives: Objectives = field(default_factory=dict)
    untrained: frozenset[tuple[str, str]] = frozenset()  # (experiment, policy) without any training


@dataclass(frozen=True)
class Content:
    comparisons: list[Comparison]
    trainings: list[Training]
    curves: dict[str, bytes]  # file name -> PNG, one per data set
    missing: list[str]
    paper: PaperTable | None = None
    figure: bytes | None = None  # PNG
    claims: list[Outcome] = field(default_factory=list)
    further: list[TextTable] = field(default_factory=list)  # metrics that the paper's table also has, in its form
    topics: list[Topic] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.paper.title if self.paper else "Report"

    @property
    def legend(self) -> list[str]:
        """The meaning of each mark in the tables, and of lenient accuracy and thoughts where there are any."""
        used = "".join(one.marks for one in self.comparisons)
        used += "".join(entry.printed_mark + entry.marks for entry in self.paper.entries) if self.paper else ""
        lines = [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]
        meanings = {"lenient_accuracy": LENIENT, "thought_accuracy": THOUGHT}
        shown = [key for key in meanings if any(one.metrics.get(key) for one in self.comparisons)]
        features = [FEATURES] if any("features" in one.beside for one in self.comparisons) else []
        external = any(one.evaluation.facts.external for one in self.comparisons)
        return [*lines, *(meanings[key] for key in shown), *features, *[EXTERNAL_MEANING] * external]

    @property
    def paper_notes(self) -> list[str]:
        """How to read the paper's table."""
        if not self.paper:
            return []
        return [*self.paper.notes, *(f"[{letter}] {note}" for note, letter in footnotes(self.paper).items())]


def gather(runs: Sequence[str | Path], baseline: str | None, asked: Asked | None) -> Content:
    """Content of the report on all runs below the folders `runs`. Raises InputError: see `find` and `compare`."""
    found = find(runs)
    comparisons = compare(found.evaluations, baseline)
    curves = _curves(found.trainings)
    missing = found.unfinished + _missing(comparisons, found.trainings, curves)
    beyond = topics(comparisons)
    if asked is None:
        return Content(comparisons, found.trainings, curves, missing, topics=beyond)
    paper = fill(asked.table, asked.name, comparisons, asked.objectives, asked.untrained)
    cells = [run for entry in paper.entries for run in entry.runs]
    if empty := cells.count(None):
        missing.insert(0, f"{empty} of {len(cells)} cells have no run{_other_policies(paper, found)}")
    drawn = figure(paper, found.trainings, asked.objectives)
    further = further_tables(paper, asked.table.also)
    claims = judge(paper, asked.table)
    return Content(comparisons, found.trainings, curves, missing, paper, drawn, claims, further, beyond)


def _other_policies(paper: PaperTable, found: Found) -> str:
    """Which policies the runs of the table's experiments have, if the table has none of these policies."""
    experiments = {entry.cell.experiment for entry in paper.entries}
    facts = [*(one.facts for one in found.evaluations), *(one.facts for one in found.trainings)]
    names = {one.policy_name for one in facts if one.experiment in experiments and one.policy_name}
    if others := sorted(names - {entry.cell.policy for entry in paper.entries}):
        return f"; runs found are of policy {', '.join(others)}: add table.policy={others[0]}"
    return "" if names else "; no run found has an experiment of this table (experiment= when it was made)"


def _curves(trainings: Sequence[Training]) -> dict[str, bytes]:
    groups = by_dataset(trainings)
    names = {dataset: f"curve-{dataset or 'other'}.png" if len(groups) > 1 else "curve.png" for dataset in groups}
    drawn = {names[dataset]: curve(group) for dataset, group in groups.items()}
    return {name: png for name, png in drawn.items() if png}


def _missing(comparisons: Sequence[Comparison], trainings: Sequence[Training], curves: dict[str, bytes]) -> list[str]:
    lines = [note for one in comparisons for note in one.notes]
    if not comparisons:
        lines.append("no evaluation found: no table")
    elif all(one.baseline is None for one in comparisons):
        lines.append("one run per data set: nothing to compare with")
    if not trainings:
        lines.append("no training metrics (metrics.jsonl) found: no curves")
    elif not curves:
        lines.append("the training metrics contain none of the plotted quantities: no curves")
    return lines
