"""Draws Figures 2 to 4 of the paper from the runs found, with the numbers that the paper prints."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrft_aug.evaluation.report.curves import COLOURS, png_of, style
from vrft_aug.evaluation.report.paper.paper_layout import MISSING
from vrft_aug.evaluation.report.paper.paper_rows import Entry, PaperTable, Row
from vrft_aug.evaluation.report.paper.paper_table import Objectives
from vrft_aug.evaluation.report.paper.while_training import ACCURACY, REWARD, while_training
from vrft_aug.evaluation.runs import Training

VALIDATED = "Accuracy on the validation split during training. The test split is not shown: it must not choose a step."
CAPTIONS = {
    "fig2": f"{VALIDATED} Below: mean reward of the rollouts; thin: every step, bold: mean over 5 steps.",
    "fig3": "Test accuracy with 95 % intervals. Dashed: the constant predictor. ◆: the paper's number, if its text "
    "prints one; grey if our test set is not like the paper's. Below: accuracy by number of training images per class.",
    "fig4": VALIDATED,
}
CURVES = {"fig2": [ACCURACY, REWARD], "fig4": [ACCURACY]}


def figure(table: PaperTable, trainings: Sequence[Training], objectives: Objectives) -> bytes | None:
    """PNG of the table's figure; None if the table has no figure, or the figure has no run."""
    if table.name == "fig3" and any(entry.own for entry in table.entries):
        return _figure_3(table)
    return while_training(table, CURVES[table.name], trainings, objectives) if table.name in CURVES else None


def _figure_3(table: PaperTable) -> bytes:
    canvas = Figure(figsize=(5.2 * len(table.datasets), 7.2), layout="constrained")
    axes = canvas.subplots(2, len(table.datasets), squeeze=False)
    methods: dict[str, list[Row]] = {}
    for row in table.rows:
        methods.setdefault(row.label, []).append(row)
    for position, dataset in enumerate(table.datasets):
        bars, lines = axes[:, position]
        style(bars, f"({chr(ord('a') + position)}) {dataset}", *ACCURACY.axis)
        _bars(bars, {label: rows[-1].entries[position] for label, rows in methods.items()})
        style(lines, f"(c) {dataset}", *ACCURACY.axis)
        _lines(lines, methods, position)
    return png_of(canvas)


def _bars(ax: Axes, entries: dict[str, Entry]) -> None:
    ax.grid(visible=False, axis="x")
    for number, entry in enumerate(entries.values()):
        if entry.own:
            value, below, above = _percent(entry)
            colour = COLOURS[number % len(COLOURS)]
            ax.bar(number, value, 0.65, color=colour, yerr=[[below], [above]], capsize=4, ecolor="0.2")
            ax.annotate(f"{value:.1f}{entry.marks}", (number, 1), ha="center", color="white", fontsize=8)
        else:
            ax.annotate(MISSING, (number, 1), ha="center", color="0.4", fontsize=8)
        if entry.printed:
            colour = "0.6" if entry.other_test_set else "black"
            ax.plot(number, entry.printed.accuracy, "D", color=colour, markerfacecolor="white", markersize=6)
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
    found = {x: _percent(entry) for x, entry in entries.items() if entry.own}
    values, below, above = zip(*found.values(), strict=True) if found else ((), (), ())
    label += "" if found else f": {MISSING}"
    ax.errorbar(list(found), values, [below, above], label=label, color=colour, marker="o", capsize=4)
    for x, entry in entries.items():
        if entry.printed:
            edge = "0.6" if entry.other_test_set else colour
            ax.plot(x, entry.printed.accuracy, "D", color=edge, markerfacecolor="white", markersize=6)


def _percent(entry: Entry) -> tuple[float, float, float]:
    """Accuracy in per cent, and how far its interval extends below and above."""
    value, low, high = 100 * pd.Series(entry.accuracy, dtype=float)[["value", "low", "high"]]
    return value, value - low, high - value
