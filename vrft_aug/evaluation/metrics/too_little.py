"""Says when a test set is too small for its accuracy to say much: the one rule, for the report and the terminal.

There is too little data if the 95 % interval of the accuracy is wider than 20 points, or if a class has fewer than 10
test images, or if the images are of fewer than 10 groups (patients, lesions). The interval is Wilson's, or that over
groups where it is wider; over a handful of groups the bootstrap is too narrow, which is why they are counted.
"""

from collections.abc import Iterator, Mapping
from typing import Any

WIDEST = 0.2  # of the interval, as a share
FEWEST = 10  # images of a class, and groups
DISCORDANT = 6  # McNemar's exact p is below 0.05 if one run gains at least 6 images and loses none: 2 / 2 ** 6


def too_little(metrics: Mapping[str, Any]) -> str:
    """'too little data: 42 test images; ...' or "". metrics: of one data source and task, as `measure` returns them."""
    width = _width(metrics)
    few = list(_few(metrics))
    if width <= WIDEST and not few:
        return ""
    n = metrics["n"]
    interval = f"the interval of the accuracy is {100 * width:.1f} points wide"
    shown = f"a difference below {100 * DISCORDANT / n:.1f} points cannot be shown"
    if n < DISCORDANT:
        shown = "no difference can be shown"
    return f"too little data: {', '.join([f'{n} test images', *few])}; {interval}; {shown}"


def _width(metrics: Mapping[str, Any]) -> float:
    intervals = [one for one in (metrics["accuracy"], metrics.get("accuracy_grouped")) if one]
    return max(one["high"] - one["low"] for one in intervals)


def _few(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The class with the fewest images, and the groups, if they are too few."""
    if confusion := metrics.get("confusion"):
        images = [sum(row) for row in confusion["counts"]]
        if min(images) < FEWEST:
            yield f"{min(images)} of class {confusion['classes'][images.index(min(images))]}"
    if metrics["groups"] < min(FEWEST, metrics["n"]):
        yield f"{metrics['groups']} groups"
