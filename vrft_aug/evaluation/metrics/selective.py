"""Fits the confidence below which an image is referred to a human, on validation images, and tests it on others.

The confidence is the highest class probability (Geifman and El-Yaniv 2017, NeurIPS). An image at the threshold or above
is answered; it is right if its most probable class is the ground truth.
"""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics.class_scores import Bools, Floats, Scores
from vrft_aug.evaluation.metrics.intervals import share
from vrft_aug.evaluation.metrics.ranking_metrics import coverage

FEWEST = 10  # answered validation images; of fewer, chance alone makes some threshold reach any accuracy


def threshold_for_accuracy(confidence: Floats, right: Bools, target: float) -> float | None:
    """The smallest confidence at and above which the accuracy is at least `target`; None if there is none.

    At least 10 images must be at or above it. confidence, right: of validation images, (n,).
    """
    curve = coverage(confidence, right)(np.ones((1, len(right))))
    covered, hits = curve.covered[:, 0], curve.right[:, 0]
    steps = np.unique(confidence)[::-1]
    reached = steps[(hits >= target * covered - 1e-9) & (covered >= FEWEST)]
    return float(reached[-1]) if len(reached) else None


def threshold_for_coverage(confidence: Floats, target: float) -> float:
    """The highest confidence at and above which there are at least this share of the validation images, (n,)."""
    ordered = np.sort(confidence)[::-1]
    return float(ordered[max(0, int(np.ceil(target * len(ordered) - 1e-9)) - 1)])


def referral(
    validation: Scores, test: Scores, groups: NDArray, rng: Generator, resamples: int, *,
    accuracy: float | None = None, at_coverage: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A threshold for an accuracy or else for a coverage (shares of 1), and what it gives on the test images.

    Returns target {accuracy or coverage: number}; threshold, null if no threshold reaches the target on validation;
    validation {n, coverage, accuracy}; test {n, referred, coverage, accuracy}: coverage is the share of images that are
    answered, accuracy that of these. The intervals of the test are for this threshold as it is. groups: of the test.
    """
    if accuracy is not None:
        target = {"accuracy": accuracy}
        threshold = threshold_for_accuracy(validation.confidence, validation.right, accuracy)
    else:
        target = {"coverage": at_coverage or 1.0}
        threshold = threshold_for_coverage(validation.confidence, target["coverage"])
    if threshold is None:
        return {"target": target, "threshold": None, "validation": {"n": len(validation.truth)}, "test": None}
    fitted, answered = validation.confidence >= threshold, test.confidence >= threshold
    everything = np.ones(len(answered), bool)
    return {
        "target": target,
        "threshold": threshold,
        "validation": {"n": len(fitted), "coverage": float(fitted.mean()),
                       "accuracy": float(validation.right[fitted].mean())},
        "test": {"n": len(answered), "referred": int((~answered).sum()),
                 "coverage": share(answered, everything, groups, rng, resamples),
                 "accuracy": share(test.right, answered, groups, rng, resamples)},
    }  # fmt: skip
