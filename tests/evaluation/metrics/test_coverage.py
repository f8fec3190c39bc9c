"""Simulates how often the 95 % intervals hold the truth: 1,000 draws of 400 images with known probabilities (slow)."""

import numpy as np
import pytest
from toy_scores import draw

from vrft_aug.evaluation.metrics.calibration import BINS, error_interval
from vrft_aug.evaluation.metrics.class_scores import Scores
from vrft_aug.evaluation.metrics.intervals import (
    Quantity,
    Statistic,
    merged,
    quantities,
    resample,
    weighted_means,
    wilson,
)
from vrft_aug.evaluation.metrics.probability_metrics import FAMILIES
from vrft_aug.evaluation.metrics.ranking_metrics import roc

DRAWS, IMAGES, RESAMPLES = 1000, 400, 800
NAMES = ("accuracy", "accuracy_by_bootstrap", "auroc", "auprc", "brier", "calibration_error", "aurc", "accuracy_at_80",
         "accuracy_at_90", "sensitivity_at_90_specificity")  # fmt: skip


def statistic(scores: Scores) -> Statistic:
    """All metrics of probabilities, as `probability_metrics` resamples them."""
    families = [family(scores, ["c2"]) for family in dict.fromkeys(FAMILIES.values())]
    return merged([weighted_means({"accuracy_by_bootstrap": scores.right}), *families])


def truth(confidence: float) -> dict[str, float]:
    """The numbers of a policy on all images that there could be: two million."""
    scores = draw(np.random.default_rng(10**6), 2_000_000, confidence)
    found = {name: value[0] for name, value in statistic(scores)(np.ones((1, 2_000_000))).items()}
    return found | {"accuracy": found["accuracy_by_bootstrap"]}


def intervals(scores: Scores, rng: np.random.Generator) -> dict[str, Quantity]:
    values, resampled = resample(statistic(scores), np.arange(IMAGES), rng, RESAMPLES)
    gap = [[one[f"gap/{place}"] for place in range(BINS)] for one in (values, resampled)]
    found = quantities(values, resampled)
    found["calibration_error"] = error_interval(np.array(gap[0]), np.column_stack(gap[1]))
    return found | {"accuracy": wilson(int(scores.right.sum()), IMAGES)}


def coverages(confidence: float) -> dict[str, float]:
    true, held = truth(confidence), dict.fromkeys(NAMES, 0)
    for number in range(DRAWS):
        rng = np.random.default_rng(number)
        found = intervals(draw(rng, IMAGES, confidence), rng)
        for name in NAMES:
            held[name] += found[name]["low"] <= true[name] <= found[name]["high"]
    return {name: float(count / DRAWS) for name, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("confidence", [1.0, 1.5], ids=["calibrated", "over-confident"])
def test_95_percent_intervals_hold_the_truth_in_93_to_97_of_100_draws(confidence):
    found = coverages(confidence)
    print(confidence, found)
    error = found.pop("calibration_error")
    assert all(0.93 <= share <= 0.97 for share in found.values()), found
    # An error cannot be below 0. At 0 the interval can only miss on one side, so it may hold the truth more often.
    assert 0.93 <= error <= (0.99 if confidence == 1 else 0.97)


def test_the_truth_of_the_simulation_is_what_it_should_be():
    scores = draw(np.random.default_rng(0), 200_000)
    said = scores.probabilities
    assert np.abs(said.mean(0) - 1 / 3).max() < 0.01
    assert scores.right.mean() == pytest.approx(said.max(1).mean(), abs=0.005)  # calibrated
    curve = roc(said[:, 0], scores.truth == 0)(np.ones((1, 200_000)))
    assert curve.positives[0] == (scores.truth == 0).sum()
