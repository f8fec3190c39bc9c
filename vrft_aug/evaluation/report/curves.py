"""Training curves as small multiples: reward, its parts, signs of reward hacking, validation accuracy, KL, losses."""

import io
import math
import re
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vrft_aug.evaluation.runs import Training
from vrft_aug.rewards.diagnostics import BOUNDS

# Okabe and Ito (2008): distinguishable with any form of colour blindness.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", "-.", ":"]
# Pattern of the metric names of verl and of our replay buffer, panel title, y axis, limits; `{}`: the pattern's groups.
PANELS = [
    (r"critic/score/mean", "Training reward", "mean reward of the rollouts", None),
    (r"reward/([^/]+)/(?!score$|response_length$)(.+)", "Rollouts: {1}, {0}", "mean over the rollouts", None),
    (r"val-core/(.+)/acc/mean@\d+", "Validation accuracy: {}", "share correct", (-0.02, 1.02)),
    (r"response_length/mean", "Response length", "tokens", None),
    (r"actor/kl_loss", "KL to the reference policy", "nats per token", None),
    (r"training/rollout_probs_diff_max", "vLLM against the actor", "largest difference of a token's probability", None),
    (r"train/loss", "Training loss", "nats per token", None),
    (r"val/loss", "Validation loss", "nats per token", None),
]
WINDOW = 5
SMOOTH_FROM = 20


def panels(trainings: Sequence[Training]) -> dict[str, str]:
    """The panels that these trainings fill: {metric name: title}, in the order of PANELS."""
    names = list(dict.fromkeys(name for one in trainings for name in one.steps.columns))
    return {
        name: title.format(*match.groups())
        for pattern, title, *_ in PANELS
        for name in names
        if (match := re.fullmatch(pattern, name))
    }


def curve(trainings: Sequence[Training]) -> bytes | None:
    """PNG of one panel a metric, one line a training; None when none of PANELS was logged.

    From 20 values on, the values are thin and their centred mean over 5 steps is bold; bounds of signs of reward
    hacking are dotted; the footer says so.
    """
    titles = panels(trainings)
    if not titles:
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
    footer += ["dotted: bound of a sign of reward hacking"] if any(map(any, map(bounds_of, titles))) else []
    if footer:
        figure.supxlabel("; ".join(footer), fontsize=8, color="0.35")
    return png_of(figure)


def png_of(figure: Figure) -> bytes:
    """The same figure gives the same bytes."""
    png = io.BytesIO()
    figure.savefig(png, dpi=150, metadata={"Software": None})
    return png.getvalue()


def by_dataset(trainings: Sequence[Training]) -> dict[str, list[Training]]:
    """{data set: its trainings}: lines that may share a panel."""
    groups: dict[str, list[Training]] = {}
    for one in trainings:
        groups.setdefault(one.dataset, []).append(one)
    return groups


def curve_data(trainings: Sequence[Training]) -> list[dict]:
    """The panels of `curve` as JSON-able values: {"title", "unit", "bounds": [low, high],
    "lines": [{"name", "steps", "values"}]}, values to six significant digits."""
    found = []
    for name, title in panels(trainings).items():
        unit, _ = look_of(name)
        lines = [(one, one.steps.get(name, pd.Series(dtype=float)).dropna()) for one in trainings]
        lines = [
            {"name": one.name, "steps": list(map(int, line.index)), "values": [float(f"{value:.6g}") for value in line]}
            for one, line in lines
        ]
        found.append({"title": title, "unit": unit, "bounds": bounds_of(name), "lines": lines})
    return found


def look_of(name: str) -> tuple[str, tuple[float, float] | None]:
    """Unit and limits of the y axis of a metric's panel."""
    return next((unit, limits) for pattern, _, unit, limits in PANELS if re.fullmatch(pattern, name))


def bounds_of(name: str) -> tuple[float | None, float | None]:
    """Lowest and highest value that is no sign of reward hacking."""
    return BOUNDS.get(name.rpartition("/")[2], (None, None)) if name.startswith("reward/") else (None, None)


def _panel(ax: Axes, name: str, title: str, trainings: Sequence[Training]) -> bool:
    """Draws one metric; returns whether a line was smoothed."""
    unit, limits = look_of(name)
    smoothed = False
    for position, one in enumerate(trainings):
        values = one.steps.get(name, pd.Series(dtype=float)).dropna()
        look = {"color": COLOURS[position % len(COLOURS)], "linestyle": STYLES[position % len(STYLES)]}
        if len(values) >= SMOOTH_FROM:
            ax.plot(values.index, values, linewidth=0.7, alpha=0.45, **look)
            mean = values.rolling(WINDOW, center=True, min_periods=1).mean()
            ax.plot(mean.index, mean, linewidth=2, label=one.name, **look)
            smoothed = True
        else:
            ax.plot(values.index, values, linewidth=1.6, marker="o", markersize=3, label=one.name, **look)
    for bound in bounds_of(name):
        low, high = ax.get_ylim()
        if bound is not None and low < bound < high:  # an axis is not stretched for a bound that is far off
            ax.axhline(bound, color="0.35", linewidth=1, linestyle=(0, (1, 2)))
    ax.set_title(title, fontsize=10, loc="left")
    ax.set_ylabel(unit, fontsize=9)
    ax.set_ylim(limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(color="0.9", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    return smoothed
