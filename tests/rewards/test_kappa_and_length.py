"""The credit of quadratic kappa and the length bound are their formulas."""

import numpy as np
import pytest
from reward_rows import RETINA, think

from vrft_aug.rewards import compute_score
from vrft_aug.rewards.objective import load

GRADES = RETINA["classes"]


def kappa(answer: str, truth: str, classes: list[str] = GRADES) -> float:
    return compute_score("d", think(rf"\boxed{{{answer}}}"), truth, RETINA | {"classes": classes}, "kappa")["kappa"]


def test_the_credit_falls_with_the_square_of_the_distance():
    assert [kappa(grade, "0") for grade in GRADES] == [1, 15 / 16, 3 / 4, 7 / 16, 0]
    assert [kappa(grade, "2") for grade in GRADES] == [3 / 4, 15 / 16, 1, 15 / 16, 3 / 4]
    assert kappa("3", "1", ["1", "2", "3"]) == 0 and kappa("1", "1", ["1"]) == 1
    assert kappa("5", "0") == 0 and compute_score("d", "nonsense", "2", RETINA, "kappa")["score"] == 0


def test_its_mean_is_the_observed_agreement_of_quadratic_kappa():
    """kappa = 1 - (1 - agreement) / (1 - agreement by chance), as scikit-learn computes it."""
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, answer = np.random.default_rng(0).integers(0, 5, (2, 200)).astype(str)
    observed = np.mean([kappa(*pair) for pair in zip(answer, truth, strict=True)])
    chance = np.mean([kappa(one, other) for one in answer for other in truth])
    expected = sklearn.cohen_kappa_score(truth, answer, labels=GRADES, weights="quadratic")
    assert 1 - (1 - observed) / (1 - chance) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tokens", "value"), [(0, 1), (256, 1), (320, 0.75), (384, 0.5), (512, 0), (9999, 0), (None, 1)]
)
def test_a_long_response_loses_the_reward_in_a_line(tokens: int | None, value: float):
    right = compute_score("d", think(r"\boxed{2}"), "2", RETINA, "length", tokens=tokens)
    assert (right["length"], right["score"]) == (value, pytest.approx(0.9 + 0.1 * value))
    wrong = compute_score("d", "nonsense", "2", RETINA, "length", tokens=tokens)
    assert wrong["score"] == pytest.approx(0.1 * value)


def test_a_length_bound_without_margin_is_hard():
    objective = load("length")
    objective["grading"]["length"] |= {"tokens": 10, "margin": 0}
    scores = [compute_score("d", "x", "2", RETINA, objective, tokens=tokens)["length"] for tokens in (10, 11)]
    assert scores == [1, 0]
