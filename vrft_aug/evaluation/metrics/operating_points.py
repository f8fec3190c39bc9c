"""Fits thresholds on validation images (referral, screening) and says what they give on test images.

Screening: an image is flagged if its probability of disease, the sum over the classes of disease, is at the threshold
or above. Classes are weighted through such a threshold alone, and the test images choose nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.voting import votes
from vrft_aug.evaluation.metrics.class_scores import Bools, Floats, Scores, read_scores
from vrft_aug.evaluation.metrics.intervals import Statistic, bootstrap, share
from vrft_aug.evaluation.metrics.probability_metrics import known_disease
from vrft_aug.evaluation.metrics.seeds import RESAMPLES
from vrft_aug.evaluation.metrics.selective import referral

ACCURACY, COVERAGE, SENSITIVITY = 0.9, 0.8, 0.9  # targets on validation
GRID = np.arange(1, 20) / 20  # threshold probabilities of a decision curve


def operating(
    validation: pd.DataFrame, test: pd.DataFrame, disease: Sequence[str] | None, seed: int, harm: float | None = None
) -> dict[str, Any] | None:
    """Operating points, as JSON can hold them; None unless both tables have class probabilities.

    referral, referral_at_coverage: see selective.py; targets: accuracy 0.9, coverage 0.8. screening: see `screening`;
    absent if the data set states no classes of disease. decision: see `decision`; absent without `harm`, the harm of an
    unneeded referral, where missing a disease is 1.

    validation, test: predictions of one data source and task. Raises InputError if they share an image.
    """
    fitted, tested = votes(validation), votes(test)
    if both := set(fitted["source_id"]) & set(tested["source_id"]):
        raise InputError(f"image {min(both)} is in the validation and in the test predictions; thresholds must be "
                         "fitted on other images: prepare again")  # fmt: skip
    known, scores = (read_scores(str(rows["task"].iloc[0]), rows) if len(rows) else None for rows in (fitted, tested))
    if known is None or scores is None:
        return None
    groups, rng = tested["group_id"].to_numpy()[scores.known], generator(seed, "operating points")
    found: dict[str, Any] = {
        "referral": referral(known, scores, groups, rng, RESAMPLES, accuracy=ACCURACY),
        "referral_at_coverage": referral(known, scores, groups, rng, RESAMPLES, at_coverage=COVERAGE),
    }
    names = known_disease(scores, disease or ())
    if names and set(names) <= set(known.classes):
        found["screening"] = screening(known, scores, names, groups, rng)
        if harm is not None:
            found["decision"] = decision(scores, names, harm, groups, rng)
    return found


def screening(
    validation: Scores, test: Scores, disease: Sequence[str], groups: NDArray, rng: Generator
) -> dict[str, Any]:
    """The highest threshold that finds 90 % of the validation images with disease, and what it gives on test.

    Returns disease; target, the sensitivity; threshold, null without a validation image with disease; validation {n,
    with_disease, sensitivity, specificity}; test: likewise, and flagged, the share of all images. The intervals are for
    this threshold as it is. groups: of the test.
    """
    (fitted, ill), (score, truth) = (_screened(one, disease) for one in (validation, test))
    found: dict[str, Any] = {"disease": list(disease), "target": SENSITIVITY, "threshold": None, "test": None}
    found["validation"] = {"n": len(ill), "with_disease": int(ill.sum())}
    if not ill.any():
        return found
    ordered = np.sort(fitted[ill])[::-1]
    threshold = ordered[int(np.ceil(SENSITIVITY * len(ordered) - 1e-9)) - 1]
    found["threshold"] = float(threshold)
    found["validation"]["sensitivity"] = float((fitted >= threshold)[ill].mean())
    found["validation"]["specificity"] = float((fitted < threshold)[~ill].mean()) if (~ill).any() else None
    flagged, everything = score >= threshold, np.ones(len(truth), bool)
    shares = {"sensitivity": (flagged, truth), "specificity": (~flagged, ~truth), "flagged": (flagged, everything)}
    found["test"] = {"n": len(truth), "with_disease": int(truth.sum())} | {
        name: share(hits, among, groups, rng, RESAMPLES) for name, (hits, among) in shares.items()
    }
    return found


def decision(scores: Scores, disease: Sequence[str], harm: float, groups: NDArray, rng: Generator) -> dict[str, Any]:
    """Is it worth to use the probabilities? Net benefit (Vickers and Elkin 2006, Medical Decision Making 26, 565-574).

        net benefit = true positives / n  -  harm * false positives / n        harm = p / (1 - p)

    An image is flagged if its probability of disease is at least the threshold probability p. Flagging nobody has the
    net benefit 0. Returns harm, threshold (p), net_benefit, flag_all, and gain: over the better of flagging all and
    nobody. curve {threshold, net_benefit, flag_all}: the same for other harms.
    """
    score, truth = _screened(scores, disease)
    odds = GRID / (1 - GRID)
    curves = {"net_benefit": (score[:, None] >= GRID), "flag_all": np.ones((len(score), len(GRID)), bool)}
    curve = {name: _benefit(flagged, truth[:, None], odds).mean(0).tolist() for name, flagged in curves.items()}
    threshold = harm / (1 + harm)
    flags = np.column_stack([score >= threshold, np.ones(len(score), bool)])
    statistic = _gain(_benefit(flags, truth[:, None], np.array(harm)))
    found = bootstrap(statistic, groups, rng, RESAMPLES)
    return {"harm": harm, "threshold": threshold, **found, "curve": {"threshold": GRID.tolist(), **curve}}


def _benefit(flagged: Bools, truth: Bools, harm: Floats) -> Floats:
    return np.where(truth, 1.0, -harm) * flagged


def _gain(benefits: Floats) -> Statistic:
    """benefits: of the policy and of flagging all, (n, 2)."""

    def statistic(weights: Floats) -> dict[str, Floats]:
        policy, flag_all = (weights @ benefits / weights.sum(1, keepdims=True)).T
        return {"net_benefit": policy, "flag_all": flag_all, "gain": policy - np.maximum(flag_all, 0)}

    return statistic


def _screened(scores: Scores, disease: Sequence[str]) -> tuple[Floats, Bools]:
    """The probability of disease and whether there is one, (n,) each."""
    return scores.probability_of(disease), np.isin(scores.truth, scores.positions(disease))
