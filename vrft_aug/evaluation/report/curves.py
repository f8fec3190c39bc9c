"""Draws training curves, one panel per metric: rewards, signs of reward hacking, validation accuracy, KL, losses."""

import io
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vrft_aug.evaluation.report.panels import bounds_of, look_of, panels
from vrft_aug.evaluation.runs import Training
from vrft_aug.rewards.diagnostics import NO_BOUND

# Okabe and Ito (2008): people with any form of colour blindness can tell these apart.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", "-.", ":"]
WINDOW = 5
SMOOTH_FROM = 20


def curve(trainings: Sequence[Training]) -> bytes | None:
    """PNG with one panel per metric and one line per training; None if no metric of PANELS was logged.

    A line with 20 values or more is thin, and its centred mean over 5 steps is bold. The bounds of signs of reward
    hacking are dotted. The footer explains this.
    """
    if not (titles := panels(trainings)):
        return None
    columns = min(3, len(titles))
    rows = math.ceil(len(titles) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    smoothed = [_panel(ax, name, title, trainings) for ax, (name, title) in zip(axes, titles.items(), strict=False)]
    for ax in axes[len(titles) :]:
        ax.remove()
    for ax in figure.axes[max(0, len(titles) - columns) :]:
        ax.set_xlabel("training step (policy updates)")
    if len(trainings) > 1:
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=min(4, len(trainings)), frameon=False)
    footer = [f"thin: every step; bold: centred mean over {WINDOW} steps"] if any(smoothed) else []
    if any(bounds_of(name, trainings) != NO_BOUND for name in titles):
        footer.append("dotted: bound of a sign of reward hacking")
    if footer:
        figure.supxlabel("; ".join(footer), fontsize=8, color="0.35")
    return png_of(figure)


def draw_line(ax: Axes, values: "pd.Series[float]", label: str, position: int) -> None:
    """Draw values by step, in the colour and dashes of this position; many values thin, with their bold mean."""
    look: dict[str, Any] = {"color": COLOURS[position % len(COLOURS)], "linestyle": STYLES[position % len(STYLES)]}
    if len(values) < SMOOTH_FROM:
        ax.plot(values.index, values, linewidth=1.6, marker="o", markersize=3, label=label, **look)
        return
    ax.plot(values.index, values, linewidth=0.7, alpha=0.45, **look)
    mean = values.rolling(WINDOW, center=True, min_periods=1).mean()
    ax.plot(mean.index, mean, linewidth=2, label=label, **look)


def style(ax: Axes, title: str, unit: str, limits: tuple[float, float] | None) -> None:
    """Give a panel its title, the unit and limits of the y axis, and the look that all panels share."""
    ax.set_title(title, fontsize=10, loc="left")
    ax.set_ylabel(unit, fontsize=9)
    ax.set_ylim(limits)
    ax.set_axisbelow(True)
    ax.grid(color="0.9", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)


def png_of(figure: Figure) -> bytes:
    """PNG of a figure; the same figure gives the same bytes."""
    png = io.BytesIO()
    figure.savefig(png, dpi=150, metadata={"Software": None})
    return png.getvalue()


def _panel(ax: Axes, name: str, title: str, trainings: Sequence[Training]) -> bool:
    """Draw one metric; return whether a line was smoothed."""
    unit, limits = look_of(name)
    for position, one in enumerate(trainings):
        draw_line(ax, one.values(name), one.name, position)
    for bound in bounds_of(name, trainings):
        low, high = ax.get_ylim()
        if bound is not None and low < bound < high:  # a distant bound does not stretch the axis
            ax.axhline(bound, color="0.35", linewidth=1, linestyle=(0, (1, 2)))
    style(ax, title, unit, limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return any(len(one.values(name)) >= SMOOTH_FROM for one in trainings)
