"""Draws what Figures 2 and 4 of the paper show: the methods' validation accuracy and reward while they train."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vrft_aug.evaluation.report.curves import draw_line, png_of, style
from vrft_aug.evaluation.report.paper.paper_layout import MISSING
from vrft_aug.evaluation.report.paper.paper_numbers import method
from vrft_aug.evaluation.report.paper.paper_rows import PaperTable
from vrft_aug.evaluation.report.paper.paper_table import Objectives, run_of
from vrft_aug.evaluation.runs import Training

VALIDATION = r"val-core/.+/acc/mean@\d+"


class Curve(NamedTuple):
    """A quantity: title of its panel, unit and limits of the y axis, pattern of the metric's name, and a factor."""

    title: str
    axis: tuple[str, tuple[float, float] | None]
    metric: str
    factor: int

    def values(self, run: Training | None) -> "pd.Series[float]":
        """The values by step, of the first data source that the training validated on; empty if none."""
        names = [name for name in run.steps.columns if re.fullmatch(self.metric, name)] if run else []
        return self.factor * run.values(names[0]) if run and names else pd.Series(dtype=float)

    def mean(self, runs: Sequence[Training | None]) -> "pd.Series[float]":
        """The mean over seeds by step, where every seed with values has one."""
        found = [values for values in map(self.values, runs) if len(values)]
        return pd.concat(found, axis=1).dropna().mean(axis=1) if found else pd.Series(dtype=float)


ACCURACY = Curve("validation split", ("accuracy, %", (0, 100)), VALIDATION, 100)
REWARD = Curve("training reward", ("mean reward of the rollouts", None), "critic/score/mean", 1)


def while_training(
    table: PaperTable, curves: Sequence[Curve], trainings: Sequence[Training], objectives: Objectives
) -> bytes | None:
    """PNG with one column per data set and one row per curve; None if no run has one of the curves."""
    canvas = Figure(figsize=(5.6 * len(table.datasets), 4 * len(curves)), layout="constrained")
    panels = canvas.subplots(len(curves), len(table.datasets), squeeze=False)
    drawn = False
    for position, dataset in enumerate(table.datasets):
        cells = [row.entries[position].cell for row in table.rows]
        runs = {cell: [run_of(replace(cell, seed=seed), trainings, "train", objectives.get(cell.experiment))
                       for seed in table.seeds] for cell in cells}  # fmt: skip
        for ax, one in zip(panels[:, position], curves, strict=True):
            style(ax, f"{dataset}: {one.title}", *one.axis)
            lines = {method(cell): one.mean(found) for cell, found in runs.items()}
            drawn |= _lines(ax, lines)
    return png_of(canvas) if drawn else None


def _lines(ax: Axes, lines: "dict[str, pd.Series[float]]") -> bool:
    """Draw the methods' lines; return whether there is a value."""
    ax.set_xlabel("training step (policy updates)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for position, (label, values) in enumerate(lines.items()):
        draw_line(ax, values, label if len(values) else f"{label}: {MISSING}", position)
    ax.legend(frameon=False, fontsize=8)
    return any(map(len, lines.values()))
