"""Pays part of the reward for a grade near the right one (the multi-grade fuzzy reward, eq. 9)."""

from collections.abc import Sequence

from vrft_aug.rewards.grade_distance import distance
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(
    response: Response, ground_truth: str, row: ExtraInfo, *, credit: Sequence[float] = (1.0, 1 / 4, 1 / 16)
) -> float:
    """credit[d] for a grade at distance d = |O - G| from the ground truth, 0 beyond the end of `credit` (eq. 9).

    Grades are integers from the row's `classes`. An answer that is not in `classes` has no grade and scores 0.
    Raises InputError where a class is not an integer.
    """
    away = distance(response, ground_truth, row)
    return 0.0 if away is None else paid(away, credit)


def paid(away: int, credit: Sequence[float]) -> float:
    """credit[away], 0 beyond its end."""
    return float(credit[away]) if away < len(credit) else 0.0
