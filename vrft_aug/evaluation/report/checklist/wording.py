"""Turns recorded numbers and names into the phrases of a checklist's cells. All texts are plain, not Markdown."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vrft_aug.evaluation.metrics.intervals import Metrics, Quantity
from vrft_aug.evaluation.report.text_table import interval

MOST = 12  # names of one list
LONGEST = 300  # characters of a name or a description
Filler = Callable[[Any], str]  # RunRecord -> text of a cell; "" where the run does not say it


def joined(*parts: object) -> str:
    """The parts that say something, with semicolons."""
    return "; ".join(str(part) for part in parts if part)


def listed(names: Iterable[object]) -> str:
    """'a, b, c'; of many names the first ones and how many more there are."""
    known = [short(name) for name in names]
    more = f" and {len(known) - MOST} more" if len(known) > MOST else ""
    return ", ".join(known[:MOST]) + more


def short(text: object) -> str:
    """A name or a description, cut where it is very long."""
    whole = str(text)
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"


def pairs(tree: Mapping[str, Any] | None, keys: Iterable[str]) -> str:
    """'test=0.2, seed=0': those of the keys that the mapping has, null ones left out."""
    known = tree or {}
    return ", ".join(f"{key}={short(known[key])}" for key in keys if known.get(key) is not None)


def quantity(name: str, found: Quantity | None, factor: int = 100) -> str:
    """'accuracy 53.5 % (48.6–58.3)'; "" where it is undefined."""
    text = interval(found, factor)
    if text == "–":
        return ""
    value, _, limits = text.partition(" ")
    return " ".join(filter(None, [name, value, "%" if factor == 100 else "", limits]))


def each(sets: Mapping[str, Metrics], text: Callable[[Metrics], str]) -> str:
    """A text per data set; their names come first if there are several."""
    found = {name: text(metrics) for name, metrics in sets.items()}
    if len(found) == 1:
        return next(iter(found.values()))
    return joined(*(f"{name}: {one}" for name, one in found.items() if one))


def fillers(*functions: Filler) -> dict[str, Filler]:
    """By their names, which the YAML files of the checklists use."""
    return {one.__name__: one for one in functions}
