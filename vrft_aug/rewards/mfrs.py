"""Pays part of the reward for a grade near the right one (the multi-grade fuzzy reward, eq. 9)."""

from collections.abc import Sequence

from vrft_aug.errors import InputError
from vrft_aug.rewards.accuracy import class_of, true_class
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(
    response: Response, ground_truth: str, row: ExtraInfo, *, credit: Sequence[float] = (1.0, 1 / 4, 1 / 16)
) -> float:
    """credit[d] for a grade at distance d = |O - G| from the ground truth, 0 beyond the end of `credit` (eq. 9).

    Grades are integers from the row's `classes`. An answer that is not in `classes` has no grade and scores 0.
    Raises InputError where a class is not an integer.
    """
    answer = class_of(response.label, row) if response.label else None
    return 0.0 if answer is None else paid(answer, true_class(ground_truth, row), credit)


def paid(answer: str, truth: str, credit: Sequence[float]) -> float:
    """credit[|answer - truth|], 0 beyond its end, of two grades. Raises InputError where one is not an integer."""
    distance = abs(_grade(answer) - _grade(truth))
    return float(credit[distance]) if distance < len(credit) else 0.0


def _grade(name: str) -> int:
    try:
        return int(name)
    except ValueError:
        raise InputError(f"class {name!r} is no integer grade: R_MFRS is for the task grading") from None
