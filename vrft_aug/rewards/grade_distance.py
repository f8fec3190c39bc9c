"""Measures how far an answered grade is from the right one, for the rewards that pay for near grades."""

from vrft_aug.errors import InputError
from vrft_aug.rewards.accuracy import class_of, true_class
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def distance(response: Response, ground_truth: str, row: ExtraInfo) -> int | None:
    """|O - G| in grades (eq. 9); None for an answer that is not one of the row's classes.

    Raises InputError where a class is not an integer.
    """
    answer = class_of(response.label, row) if response.label else None
    return None if answer is None else abs(grade(answer) - grade(true_class(ground_truth, row)))


def span(row: ExtraInfo) -> int:
    """The largest distance between two grades of the row. Raises InputError where a class is not an integer."""
    grades = [grade(name) for name in row["classes"]]
    return max(grades) - min(grades)


def grade(name: str) -> int:
    """The grade that a class is. Raises InputError where it is none."""
    try:
        return int(name)
    except ValueError:
        raise InputError(f"class {name!r} is no integer grade: only the task grading pays for near grades") from None
