"""Pays for the right class or grade (the accuracy reward of A.4): exact match after lower-casing both."""

from vrft_aug.errors import InputError
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(response: Response, ground_truth: str, row: ExtraInfo) -> float:
    """1 if the answer is the class of the ground truth, else 0.

    Both are lower-cased and runs of blanks become one blank. Any other difference counts, unless the row lists
    aliases. Raises InputError where the ground truth is not one of the row's classes.
    """
    return float(bool(response.label) and class_of(response.label, row) == true_class(ground_truth, row))


def class_of(label: str, row: ExtraInfo) -> str | None:
    """The class in `row["classes"]` whose name or alias is this normalised label; None where there is none."""
    for name in row["classes"]:
        if normalise(name) == label:
            return name
    aliases_of = row.get("aliases")
    for name, aliases in zip(row["classes"], () if aliases_of is None else aliases_of, strict=False):
        if any(normalise(alias) == label for alias in aliases):
            return name
    return None


def true_class(ground_truth: str, row: ExtraInfo) -> str:
    """The class of the row's ground truth. Raises InputError where it is none of the row's classes."""
    name = class_of(normalise(ground_truth), row)
    if name is None:
        raise InputError(f"ground truth {ground_truth!r} is not among the row's classes {list(row['classes'])}: "
                         "prepare again")
    return name
