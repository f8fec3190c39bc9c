"""Draws accuracy against the strength of blur, noise, JPEG compression and down-sampling: how robust is a policy?"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrft_aug.data.degradations import STRENGTHS
from vrft_aug.evaluation.answers.conditions import IMAGES
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.curves import COLOURS, STYLES, png_of, style

CAPTION = "Accuracy against the strength of a degradation; 0: real images. Vertical lines: 95 % intervals."


def severity(one: Comparison) -> dict[str, list[tuple[int, Quantity]]]:
    """{kind of degradation: [(strength, accuracy)]}, from strength 0, the real images; no kind without a condition."""
    found = {}
    for kind, strengths in STRENGTHS.items():
        levels = [(level, one.metrics_of(f"{kind}_{level}")) for level in range(1, len(strengths) + 1)]
        line = [(level, metrics.get("accuracy_grouped") or metrics["accuracy"]) for level, metrics in levels if metrics]
        if line:
            found[kind] = [(0, one.accuracy), *line]
    return found


def severity_figure(group: Sequence[Comparison]) -> bytes | None:
    """PNG with a panel per kind of degradation and a line per run of one data set; None without degraded images."""
    lines = [(one.name, severity(one)) for one in group]
    kinds = [kind for kind in STRENGTHS if any(kind in found for _, found in lines)]
    if not kinds:
        return None
    figure = Figure(figsize=(3 * len(kinds), 2.9), layout="constrained")
    for ax, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        for position, (name, found) in enumerate(lines):
            _line(ax, found.get(kind, []), name, position)
        style(ax, f"{IMAGES[kind]} images".capitalize().replace("Jpeg", "JPEG"), "share correct", (-0.02, 1.02))
        ax.set_xticks(range(len(STRENGTHS[kind]) + 1))
        ax.set_xlabel("strength")
    if len(lines) > 1:
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=min(4, len(lines)), frameon=False)
    return png_of(figure)


def _line(ax: Axes, line: Sequence[tuple[int, Quantity]], name: str, position: int) -> None:
    """A run's accuracies with their intervals, in the colour and dashes of this position."""
    table = pd.DataFrame([one for _, one in line], columns=["value", "low", "high"], dtype=float)
    spans = [(table["value"] - table["low"]).clip(0), (table["high"] - table["value"]).clip(0)]
    ax.errorbar([level for level, _ in line], table["value"], yerr=spans, label=name, capsize=2, linewidth=1.4,
                color=COLOURS[position % len(COLOURS)], linestyle=STYLES[position % len(STYLES)])  # fmt: skip
