"""Corrects the p-values of a table's claims for their number, and gives each claim its verdict."""

from collections.abc import Sequence

import numpy as np

from vrft_aug.evaluation.metrics.comparison import SIGNIFICANCE

SUPPORTED, NOT_SUPPORTED, CONTRADICTED = "supported", "not supported", "contradicted"
NOT_TESTED = "not tested"


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p-values (1979, Scandinavian Journal of Statistics 6, 65-70), in the order of `p`.

    The k-th smallest of m counts m - k + 1 times, and none is smaller than one before it.
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p, float)[order] * factors))
    return corrected.tolist()


def verdict(difference: float, corrected: float) -> str:
    """The verdict of one test. difference: of the metric, in the claimed direction if positive."""
    if corrected >= SIGNIFICANCE or difference == 0:
        return NOT_SUPPORTED
    return SUPPORTED if difference > 0 else CONTRADICTED


def conjunction(verdicts: Sequence[str]) -> str:
    """The verdict of a claim that must hold everywhere: one contradiction contradicts it."""
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return SUPPORTED if set(verdicts) == {SUPPORTED} else NOT_SUPPORTED
