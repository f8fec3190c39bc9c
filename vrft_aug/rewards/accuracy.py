"""Vanilla accuracy reward for labels (A.4): exact match after lower-casing both."""

from collections.abc import Mapping

from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import Response, normalise


def reward(response: Response, ground_truth: str, row: Mapping) -> float:
    """1 if the answer is the ground truth's class, else 0.

    Both are lower-cased and their blanks collapsed; nothing else is forgiven, unless the row lists aliases.
    """
    return float(bool(response.label) and class_of(response.label, row) == class_of(normalise(ground_truth), row, True))


def class_of(label: str, row: Mapping, required: bool = False) -> str | None:
    """The name in `row["classes"]` that a normalised label or one of its aliases stands for, else None.

    Raises InputError where `required` and the label, then the row's own ground truth, is no class.
    """
    for name in row["classes"]:
        if normalise(name) == label:
            return name
    aliases_of = row.get("aliases")
    for name, aliases in zip(row["classes"], () if aliases_of is None else aliases_of, strict=False):
        if any(normalise(alias) == label for alias in aliases):
            return name
    if required:
        raise InputError(f"ground truth {label!r} is not among the row's classes {list(row['classes'])}: prepare again")
    return None
