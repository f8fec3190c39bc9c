"""Draws class probabilities with a known truth: of a calibrated or of an over-confident policy."""

import numpy as np
import pandas as pd
from toy_runs import predictions

from vrft_aug.evaluation.metrics.class_scores import Scores


def draw(rng: np.random.Generator, n: int, confidence: float = 1.0, classes: int = 3) -> Scores:
    """n images whose labels follow known probabilities; what the policy says is their power `confidence`, normalised.

    1: calibrated. Above 1: over-confident.
    """
    logits = 1.5 * rng.normal(size=(n, classes))
    truth = (rng.random((n, 1)) > _shares(logits).cumsum(1)).sum(1).clip(0, classes - 1)
    said = _shares(logits * confidence)
    return Scores([f"c{number}" for number in range(classes)], said, truth, said.argmax(1), np.ones(n, bool))


def _shares(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def scored(scores: Scores, **columns) -> pd.DataFrame:
    """A predictions table of classification with these probabilities; the answers are the most probable classes."""
    names = np.array(scores.classes, dtype=object)
    answers = names[scores.probabilities.argmax(1)]
    table = {"probabilities": list(scores.probabilities)} | columns
    return predictions(names[scores.truth], answers, scores.classes, "classification", **table)
