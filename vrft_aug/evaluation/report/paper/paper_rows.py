"""The filled table of the paper: its rows and cells, each with our run and the paper's number."""

from dataclasses import dataclass, field
from math import hypot
from statistics import fmean, stdev

import pandas as pd

from vrft_aug.evaluation.metrics.comparison import Comparison, constant_mark
from vrft_aug.evaluation.metrics.intervals import Quantity, estimate
from vrft_aug.evaluation.metrics.seeds import Spread
from vrft_aug.evaluation.report.paper.paper_numbers import Printed
from vrft_aug.evaluation.runs import Facts
from vrft_aug.experiments.cells import Cell

OTHER_SETS = "average over test sets of which at least one is not like the paper's"


@dataclass(frozen=True)
class Entry:
    """A cell, the run that fills it (own) and the paper's number (printed); both may be missing.

    runs: per seed of the table, the run or None; `own` is the first that is there. spread: over the seeds with a run;
    None of one run, which may be the run of every seed. asked: whether the table has this cell at all.
    """

    cell: Cell
    own: Comparison | None
    printed: Printed | None
    runs: tuple[Comparison | None, ...]
    spread: Spread | None = None
    asked: bool = True

    @property
    def accuracy(self) -> Quantity | None:
        """Of the run, or the mean over seeds."""
        if self.spread:
            return self.spread.mean
        return self.own.accuracy if self.own else None

    @property
    def thought(self) -> float | None:
        """Share of the answers whose thought names the findings, as `accuracy`; None where no findings are known."""
        runs = [one.metrics.get("thought_accuracy") for one in (self.runs if self.spread else [self.own]) if one]
        found = [quantity["value"] for quantity in runs if quantity]
        return fmean(found) if found else None

    @property
    def marks(self) -> str:
        """Of the run (see MARKS). Of several seeds: of their mean against the constant predictor, else of any seed."""
        if not (self.own and self.spread):
            return self.own.marks if self.own else ""
        found = "".join(one.marks for one in self.runs if one)
        mean = constant_mark(self.own.metrics | {"accuracy": self.spread.mean})
        return mean + "".join(mark for mark in "§¶" if mark in found)

    @property
    def facts(self) -> Facts | None:
        return self.own.evaluation.facts if self.own else None

    @property
    def printed_mark(self) -> str:
        """† or ‡ of the paper's number, if our test set is like the paper's."""
        if not (self.own and self.printed and self.printed.n) or self.other_test_set:
            return ""
        return constant_mark(self.own.metrics | {"accuracy": self.printed.interval()})

    @property
    def other_test_set(self) -> str:
        """How our test set differs from the paper's: the number of images, or of images per class; "" if unknown."""
        if not (self.own and self.printed and self.printed.n):
            return ""
        n, paper = self.own.metrics["n"], self.printed
        if n != paper.n:
            return f"n or class shares differ: ours {n} images, the paper's {paper.n}"
        ours = [sum(counts) for counts in self.own.metrics.get("confusion", {}).get("counts", [])]
        if not ours or not paper.per_class or sorted(ours) == sorted(paper.per_class):
            return ""
        texts = [", ".join(map(str, counts)) for counts in (ours, paper.per_class)]
        return f"class shares differ: ours {texts[0]} images per class, the paper's {texts[1]}"

    @property
    def remarks(self) -> list[str]:
        """The footnotes of the paper's number."""
        return [note for note in (self.printed.note if self.printed else "", self.other_test_set) if note]


@dataclass(frozen=True)
class Row:
    label: str
    entries: list[Entry]  # one per data set
    printed_average: Printed | None

    @property
    def cell(self) -> Cell:
        """The first data set's cell; the other cells have the same experiment, policy and number of images."""
        return self.entries[0].cell

    @property
    def heading(self) -> str:
        """The label; after PA_π also the prompts of the diagnosis, since training had another prompt."""
        prompts = dict.fromkeys(entry.facts.prompt for entry in self.entries if entry.facts and entry.facts.prompt)
        if "_pa_pi" not in self.cell.experiment or not prompts:
            return self.label
        return f"{self.label}, diagnosed with prompt={' and '.join(map(str, prompts))}"

    @property
    def shots(self) -> int | None:
        """Training images per class; None: all."""
        return 0 if self.cell.experiment.startswith("zero_shot") else self.cell.shots

    @property
    def found(self) -> int:
        """Number of cells that have a run."""
        return sum(entry.own is not None for entry in self.entries)

    @property
    def average_remarks(self) -> list[str]:
        """The footnotes of the paper's average."""
        return [OTHER_SETS] if self.printed_average and any(entry.other_test_set for entry in self.entries) else []

    def average(self) -> Quantity:
        """Mean accuracy of the cells that have a run, with the interval of independent sets (Zou and Donner 2008)."""
        found = pd.DataFrame([entry.accuracy for entry in self.entries if entry.own], dtype=float)
        if found.empty:
            return estimate(None)
        mean = found["value"].mean()
        below, above = (hypot(*(found["value"] - found[limit])) / len(found) for limit in ("low", "high"))
        return estimate(mean, mean - below, mean + above)

    def deviation(self) -> float | None:
        """Standard deviation over seeds of the mean over data sets; None unless several seeds have all runs found."""
        found = [entry.runs for entry in self.entries if entry.own]
        if not any(entry.spread for entry in self.entries) or any(None in runs for runs in found):
            return None
        seeds = zip(*found, strict=True)  # the data sets' runs of each seed
        return stdev(fmean(one.metrics["accuracy"]["value"] for one in seed if one) for seed in seeds)


@dataclass(frozen=True)
class PaperTable:
    name: str  # of the file in conf/table
    title: str
    datasets: list[str]
    rows: list[Row]
    notes: list[str]
    seeds: list[int | None] = field(default_factory=lambda: [None])

    @property
    def entries(self) -> list[Entry]:
        return [entry for row in self.rows for entry in row.entries]

    @property
    def in_paper(self) -> bool:
        """Whether the paper prints a number for any of its cells."""
        return any(entry.printed for entry in self.entries)

    @property
    def heading(self) -> str:
        return "Comparison with the paper" if self.in_paper else "All methods"
