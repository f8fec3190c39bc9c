"""Draws Figures 3 and 4 of the paper from the runs found, with the numbers that the paper prints."""

import re
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report.curves import COLOURS, STYLES, png_of, style
from vrft_aug.evaluation.report.paper.paper_layout import MISSING
from vrft_aug.evaluation.report.paper.paper_numbers import METHODS
from vrft_aug.evaluation.report.paper.paper_table import Entry, Objectives, PaperTable, Row, run_of
from vrft_aug.evaluation.runs import Training

CAPTIONS = {
    "fig3": "Test accuracy with 95 % intervals. Dashed: the constant predictor. ◆: the paper's number, if its text "
    "prints one. Below: accuracy by number of training images per class.",
    "fig4": "Accuracy on the validation split during training. The test split is not shown: it must not choose a step.",
}
ACCURACY = ("accuracy, %", (0, 100))  # unit and limits of the y axes
VALIDATION = r"val-core/.+/acc/mean@\d+"


def figure(table: PaperTable, trainings: Sequence[Training], objectives: Objectives) -> bytes | None:
    """PNG of the table's figure; None if the table has no figure, or the figure has no run."""
    if table.name == "fig3" and any(entry.own for entry in table.entries):
        return _figure_3(table)
    return _figure_4(table, trainings, objectives) if table.name == "fig4" else None


def _figure_3(table: PaperTable) -> bytes:
    canvas = Figure(figsize=(5.2 * len(table.datasets), 7.2), layout="constrained")
    axes = canvas.subplots(2, len(table.datasets), squeeze=False)
    methods: dict[str, list[Row]] = {}
    for row in table.rows:
        methods.setdefault(row.label, []).append(row)
    for position, dataset in enumerate(table.datasets):
        bars, lines = axes[:, position]
        style(bars, f"({chr(ord('a') + position)}) {dataset}", *ACCURACY)
        _bars(bars, {label: rows[-1].entries[position] for label, rows in methods.items()})
        style(lines, f"(c) {dataset}", *ACCURACY)
        _lines(lines, methods, position)
    return png_of(canvas)


def _bars(ax: Axes, entries: dict[str, Entry]) -> None:
    ax.grid(visible=False, axis="x")
    for number, entry in enumerate(entries.values()):
        if entry.own:
            value, below, above = _percent(entry.own)
            colour = COLOURS[number % len(COLOURS)]
            ax.bar(number, value, 0.65, color=colour, yerr=[[below], [above]], capsize=4, ecolor="0.2")
            ax.annotate(f"{value:.1f}{entry.own.marks}", (number, 1), ha="center", color="white", fontsize=8)
        else:
            ax.annotate(MISSING, (number, 1), ha="center", color="0.4", fontsize=8)
        if entry.printed:
            ax.plot(number, entry.printed.accuracy, "D", color="black", markerfacecolor="white", markersize=6)
    if constant := next((entry.own.metrics.get("majority") for entry in entries.values() if entry.own), None):
        ax.axhline(100 * constant["value"], color="0.35", linewidth=1, linestyle="--")
    ax.set_xlim(-0.6, len(entries) - 0.4)
    ax.set_xticks(range(len(entries)), entries, fontsize=8, rotation=20, ha="right")


def _lines(ax: Axes, methods: dict[str, list[Row]], position: int) -> None:
    ax.set_xlabel("training images per class")
    several = [rows for rows in methods.values() if len(rows) > 1]
    place = {shots: x for x, shots in enumerate(dict.fromkeys(row.shots for rows in several for row in rows))}
    ax.set_xticks(list(place.values()), ["all" if shots is None else str(shots) for shots in place])
    for number, (label, rows) in enumerate(methods.items()):
        if len(rows) > 1:
            _line(ax, label, {place[row.shots]: row.entries[position] for row in rows}, COLOURS[number % len(COLOURS)])
    if several:
        ax.legend(frameon=False, fontsize=8)


def _line(ax: Axes, label: str, entries: dict[int, Entry], colour: str) -> None:
    found = {x: _percent(entry.own) for x, entry in entries.items() if entry.own}
    values, below, above = zip(*found.values(), strict=True) if found else ((), (), ())
    label += "" if found else f": {MISSING}"
    ax.errorbar(list(found), values, [below, above], label=label, color=colour, marker="o", capsize=4)
    for x, entry in entries.items():
        if entry.printed:
            ax.plot(x, entry.printed.accuracy, "D", color=colour, markerfacecolor="white", markersize=6)


def _figure_4(table: PaperTable, trainings: Sequence[Training], objectives: Objectives) -> bytes | None:
    canvas = Figure(figsize=(5.6 * len(table.datasets), 4), layout="constrained")
    panels = canvas.subplots(1, len(table.datasets), squeeze=False)[0]
    drawn = False
    for position, (ax, dataset) in enumerate(zip(panels, table.datasets, strict=True)):
        style(ax, f"{dataset}: validation split", *ACCURACY)
        ax.set_xlabel("training step (policy updates)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        for number, row in enumerate(table.rows):
            cell = row.entries[position].cell
            values = _validation(run_of(cell, trainings, "train", objectives.get(cell.experiment)))
            label = METHODS.get(cell.experiment, cell.experiment) + ("" if len(values) else f": {MISSING}")
            colour, line = COLOURS[number % len(COLOURS)], STYLES[number % len(STYLES)]
            ax.plot(values.index, values, line, marker="o", markersize=3, label=label, color=colour)
            drawn = drawn or len(values) > 0
        ax.legend(frameon=False, fontsize=8)
    return png_of(canvas) if drawn else None


def _validation(run: Training | None) -> "pd.Series[float]":
    """Accuracy in per cent, by step, on the first data source that the training validated on; empty if none."""
    names = [name for name in run.steps.columns if re.fullmatch(VALIDATION, name)] if run else []
    return 100 * run.values(names[0]) if run and names else pd.Series(dtype=float)


def _percent(own: Comparison) -> tuple[float, float, float]:
    """Accuracy in per cent, and how far its interval extends below and above."""
    value, low, high = 100 * pd.Series(own.accuracy, dtype=float)[["value", "low", "high"]]
    return value, value - low, high - value
