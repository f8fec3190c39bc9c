"""Pays for a near grade as quadratic weighted kappa weighs it: the cost grows with the square of the distance."""

from vrft_aug.rewards.grade_distance import distance, span
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(response: Response, ground_truth: str, row: ExtraInfo) -> float:
    """1 - (d / (K - 1))^2 for a grade at distance d from the ground truth, of K grades (Cohen 1968, quadratic weights).

    Its mean over the answers is the observed agreement in quadratic kappa, which then compares it with chance. An
    answer that is not in `classes` has no grade and scores 0. Raises InputError where a class is not an integer.
    """
    away = distance(response, ground_truth, row)
    return 0.0 if away is None else 1.0 - (away / max(1, span(row))) ** 2
