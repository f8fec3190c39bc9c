"""Training curves as small multiples: reward, its parts, validation accuracy, response length, KL."""

import io
import math
import re
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vrft_aug.evaluation.runs import Training

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

    From 20 values on, the values are thin and their centred mean over 5 steps is bold; the footer says so.
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
    if any(smoothed):
        figure.supxlabel(f"thin: every step; bold: centred mean over {WINDOW} steps", fontsize=8, color="0.35")
    png = io.BytesIO()
    figure.savefig(png, dpi=150, metadata={"Software": None})  # the same runs give the same bytes
    return png.getvalue()


def _panel(ax: Axes, name: str, title: str, trainings: Sequence[Training]) -> bool:
    """Draws one metric; returns whether a line was smoothed."""
    unit, limits = next((unit, limits) for pattern, _, unit, limits in PANELS if re.fullmatch(pattern, name))
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
    ax.set_title(title, fontsize=10, loc="left")
    ax.set_ylabel(unit, fontsize=9)
    ax.set_ylim(limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(color="0.9", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    return smoothed
