"""Figures 3 and 4 of the paper, drawn from the runs that were found, with the numbers that the paper prints."""

import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vrft_aug.evaluation.report.curves import COLOURS, STYLES, png_of
from vrft_aug.evaluation.report.paper.paper_layout import MISSING
from vrft_aug.evaluation.report.paper.paper_numbers import METHODS
from vrft_aug.evaluation.report.paper.paper_table import Entry, PaperTable, Row, standing
from vrft_aug.evaluation.report.result_tables import quoted_accuracy
from vrft_aug.evaluation.runs import Training

CAPTIONS = {
    "fig3": "Test accuracy with 95 % intervals. Dashed: the constant predictor. ◆: the paper's number, where its text "
    "prints one. Below: accuracy by training images a class.",
    "fig4": "Accuracy on the validation split while training, not on the test split, which chooses nothing.",
}
VALIDATION = r"val-core/.+/acc/mean@\d+"


def figure(table: PaperTable, trainings: Sequence[Training], objectives: Mapping[str, str | None]) -> bytes | None:
    """PNG of the figure that the table stands for; None for a table without one, or without a run for it."""
    if table.name == "fig3" and any(entry.own for entry in table.entries):
        return _figure_3(table)
    if table.name == "fig4":
        return _figure_4(table, trainings, objectives)
    return None


def _figure_3(table: PaperTable) -> bytes:
    canvas = Figure(figsize=(5.2 * len(table.datasets), 7.2), layout="constrained")
    axes = canvas.subplots(2, len(table.datasets), squeeze=False)
    methods: dict[str, list[Row]] = {}
    for row in table.rows:
        methods.setdefault(row.label, []).append(row)
    for position, dataset in enumerate(table.datasets):
        bars, lines = axes[:, position]
        _bars(bars, {label: rows[-1].entries[position] for label, rows in methods.items()})
        bars.set_title(f"({chr(ord('a') + position)}) {dataset}", fontsize=10, loc="left")
        _lines(lines, methods, position)
        lines.set_title(f"(c) {dataset}", fontsize=10, loc="left")
    return png_of(canvas)


def _bars(ax: Axes, entries: dict[str, Entry]) -> None:
    _style(ax)
    for number, entry in enumerate(entries.values()):
        if entry.own:
            value, below, above = _percent(entry)
            colour = COLOURS[number % len(COLOURS)]
            ax.bar(number, value, 0.65, color=colour, yerr=[[below], [above]], capsize=4, ecolor="0.2")
            ax.annotate(f"{value:.1f}{entry.own.marks}", (number, 1), ha="center", color="white", fontsize=8)
        else:
            ax.annotate(MISSING, (number, 1), ha="center", color="0.4", fontsize=8)
        if entry.printed:
            ax.plot(number, entry.printed.accuracy, "D", color="black", markerfacecolor="white", markersize=6)
    constant = next((entry.own.metrics.get("majority") for entry in entries.values() if entry.own), None)
    if constant:
        ax.axhline(100 * constant["value"], color="0.35", linewidth=1, linestyle="--")
    ax.set_xlim(-0.6, len(entries) - 0.4)
    ax.set_xticks(range(len(entries)), entries, fontsize=8, rotation=20, ha="right")


def _lines(ax: Axes, methods: dict[str, list[Row]], position: int) -> None:
    _style(ax)
    ax.set_xlabel("training images a class")
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
            ax.plot(x, entry.printed.accuracy, "D", color=colour, markerfacecolor="white", markersize=6)


def _figure_4(table: PaperTable, trainings: Sequence[Training], objectives: Mapping[str, str | None]) -> bytes | None:
    canvas = Figure(figsize=(5.6 * len(table.datasets), 4), layout="constrained")
    panels = canvas.subplots(1, len(table.datasets), squeeze=False)[0]
    drawn = False
    for position, (ax, dataset) in enumerate(zip(panels, table.datasets, strict=True)):
        _style(ax)
        ax.set_title(f"{dataset}: validation split", fontsize=10, loc="left")
        ax.set_xlabel("training step (policy updates)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        for number, row in enumerate(table.rows):
            cell = row.entries[position].cell
            run = standing(cell, trainings, "train", objectives.get(cell.experiment))
            values = _validation(run)
            label = METHODS.get(cell.experiment, cell.experiment) + ("" if len(values) else f": {MISSING}")
            ax.plot([step for step, _ in values], [value for _, value in values], marker="o", markersize=3, label=label,
                    color=COLOURS[number % len(COLOURS)], linestyle=STYLES[number % len(STYLES)])  # fmt: skip
            drawn = drawn or len(values) > 0
        ax.legend(frameon=False, fontsize=8)
    return png_of(canvas) if drawn else None


def _validation(run: Training | None) -> list[tuple[int, float]]:
    """(step, accuracy in per cent) of the first data source that the training validated on."""
    name = next((name for name in run.steps.columns if re.fullmatch(VALIDATION, name)), None) if run else None
    return [(step, 100 * value) for step, value in run.steps[name].dropna().items()] if name else []


def _percent(entry: Entry) -> tuple[float, float, float]:
    """Accuracy, and how far its interval reaches below and above."""
    value, low, high = (100 * quoted_accuracy(entry.own.metrics)[key] for key in ("value", "low", "high"))
    return value, value - low, high - value


def _style(ax: Axes) -> None:
    ax.set_ylabel("accuracy, %", fontsize=9)
    ax.set_ylim(0, 100)
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
