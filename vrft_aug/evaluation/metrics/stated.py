"""Measures the confidence that a policy states beside its answer, where its prompt asks for one."""

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics import calibration
from vrft_aug.evaluation.metrics.intervals import Quantity, quantities, resample

Floats = NDArray[np.float64]


def stated_metrics(rows: pd.DataFrame, rng: Generator, resamples: int) -> dict[str, Quantity]:
    """Of the rows that state a confidence: its mean (stated_confidence), stated_brier and stated_calibration_error.

    stated_brier: the mean of (confidence - right)^2, from 0 to 1. stated_calibration_error: as that of probabilities
    (calibration.py). rows: one per image. {} where no row states one.
    """
    known = rows["stated_confidence"].notna() if "stated_confidence" in rows else np.array([False])
    if not known.any():
        return {}
    found = rows[known]
    confidence, right = (found[column].to_numpy(float) for column in ("stated_confidence", "acc"))
    table = np.column_stack([confidence, (confidence - right) ** 2, calibration.gaps(confidence, right)])

    def statistic(weights: Floats) -> dict[str, Floats]:
        mean, brier, *gaps = (weights @ table / weights.sum(1, keepdims=True)).T
        named = {f"gap/{place}": gap for place, gap in enumerate(gaps)}
        return {"stated_confidence": mean, "stated_brier": brier, **named}

    values, resampled = resample(statistic, found["group_id"].to_numpy(), rng, resamples)
    gap = [[one.pop(f"gap/{place}") for place in range(calibration.BINS)] for one in (values, resampled)]
    error = calibration.error_interval(np.array(gap[0]), np.column_stack(gap[1]))
    return quantities(values, resampled) | {"stated_calibration_error": error}
