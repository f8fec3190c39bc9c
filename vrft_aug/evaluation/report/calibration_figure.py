"""Draws how far a policy's probabilities can be trusted: the reliability plot and the risk-coverage curve."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report.curves import COLOURS, STYLES, png_of, style

CAPTION = (
    "Left: accuracy of the answers by the probability of their class, in 15 bins; below the dotted line a policy is "
    "over-confident. The area of a point grows with its number of images. Right: the error rate of the surest answers, "
    "by how many are kept."
)
LARGEST = 120  # area of the point of a bin with all images, in square points


def calibration_figure(group: Sequence[Comparison]) -> bytes | None:
    """PNG of both plots with one line per run; None if no run of the group has class probabilities."""
    found = [(one.name, one.metrics["probabilities"]) for one in group if one.metrics.get("probabilities")]
    if not found:
        return None
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.35", linewidth=1, linestyle=(0, (1, 2)))
    for place, (name, metrics) in enumerate(found):
        colour, dashes = COLOURS[place % len(COLOURS)], STYLES[place % len(STYLES)]
        bins = metrics["reliability"]
        filled = [number for number, count in enumerate(bins["count"]) if count]
        across, up = ([bins[key][number] for number in filled] for key in ("confidence", "accuracy"))
        sizes = [LARGEST * bins["count"][number] / metrics["n"] for number in filled]
        left.plot(across, up, color=colour, linestyle=dashes, linewidth=1.2)
        left.scatter(across, up, s=sizes, color=colour)
        curve = metrics["risk_coverage"]
        right.plot(curve["coverage"], curve["risk"], color=colour, linestyle=dashes, linewidth=1.6, label=name)
    style(left, "Reliability", "share right", (-0.02, 1.02))
    left.set_xlabel("probability of the answer's class")
    style(right, "Risk and coverage", "error rate", None)
    right.set_ylim(bottom=0)
    right.set_xlabel("share of the images that are kept")
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return png_of(figure)
