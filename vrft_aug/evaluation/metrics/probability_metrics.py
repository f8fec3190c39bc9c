"""Computes the metrics of class probabilities and of vote shares, with intervals: ranking, calibration, selection.

"Right" is here: the most probable class is the ground truth. "Sure" is the probability of that class. `measure` calls
`probability_metrics`; a claim of a table takes single metrics from `FAMILIES`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics import calibration
from vrft_aug.evaluation.metrics import ranking_metrics as ranking
from vrft_aug.evaluation.metrics.class_scores import Scores, read_scores
from vrft_aug.evaluation.metrics.intervals import Metrics, Statistic, merged, number, quantities, resample

Floats = NDArray[np.float64]
POINTS = 50  # of the risk-coverage plot, at most
SPECIFICITY = 0.9
COVERAGES = (80, 90)  # per cent
Family = Callable[[Scores, Sequence[str]], Statistic]


def probability_metrics(
    task: str, rows: pd.DataFrame, column: str, disease: Sequence[str], rng: Generator, resamples: int
) -> Metrics | None:
    """The metrics of one column of scores, as JSON can hold them; None if no row has such scores.

    n, left_out: numbers of images with and without scores. auroc, auprc: means over the classes that have positive and
    negative images; auroc_of {class: quantity}. Questions have no classes and lack these three. brier,
    calibration_error: see calibration.py. aurc, accuracy_at_80, accuracy_at_90 (per cent of the images, the surest
    ones): see ranking_metrics.py. greedy_agreement: share of images whose most probable class is the policy's own
    answer. With classes of disease also disease, their names, and sensitivity_at_90_specificity of the sum of their
    probabilities. reliability and risk_coverage: points of plots.

    rows: one per image. column: probabilities or vote_shares. disease: names of classes; they count only if the data
    set has them all, and others besides.
    """
    scores = read_scores(task, rows, column)
    if scores is None:
        return None
    families = FAMILIES_OF_QUESTIONS if scores.own else FAMILIES
    disease = known_disease(scores, disease)
    statistic = merged([family(scores, disease) for family in dict.fromkeys(families.values())])
    groups = rows["group_id"].to_numpy()[scores.known]
    values, resampled = resample(statistic, groups, rng, resamples)
    gap = [[one.pop(f"gap/{place}") for place in range(calibration.BINS)] for one in (values, resampled)]
    found: Metrics = dict(quantities(values, resampled))
    found["calibration_error"] = calibration.error_interval(np.array(gap[0]), np.column_stack(gap[1]))
    if not scores.own:
        found["auroc_of"] = {name: found.pop(f"auroc/{name}") for name in scores.classes}
    if disease:
        found["disease"] = list(disease)
    return {
        "n": len(scores.truth),
        "left_out": int((~scores.known).sum()),
        **found,
        "reliability": calibration.reliability(scores),
        "risk_coverage": risk_coverage(scores.confidence, scores.right),
    }


def known_disease(scores: Scores, disease: Sequence[str]) -> list[str]:
    """The classes of disease; none if the images of this data source are not of these classes."""
    known = not scores.own and set(disease) <= set(scores.classes) and len(set(disease)) < len(scores.classes)
    return list(disease) if known else []


def risk_coverage(confidence: Floats, right: NDArray[np.bool_]) -> dict[str, list[float | None]]:
    """At most 50 points of the risk-coverage curve, from the surest images to all: shares of images, and of errors."""
    curve = ranking.coverage(confidence, right)(np.ones((1, len(right))))
    covered, hits = curve.covered[:, 0], curve.right[:, 0]
    chosen = np.unique(np.linspace(0, len(covered) - 1, min(POINTS, len(covered))).round().astype(int))
    risk = 1 - hits[chosen] / covered[chosen]
    return {"coverage": list(map(number, covered[chosen] / len(right))), "risk": list(map(number, risk))}


def selection(confidence: Floats, right: NDArray[np.bool_]) -> Statistic:
    """aurc, accuracy_at_80 and accuracy_at_90 of a confidence."""
    curve_of = ranking.coverage(confidence, right)

    def statistic(weights: Floats) -> dict[str, Floats]:
        curve = curve_of(weights)
        accuracy = {f"accuracy_at_{share}": ranking.accuracy_at(curve, share / 100) for share in COVERAGES}
        return {"aurc": ranking.area_under_risk(curve), **accuracy}

    return statistic


def _of_classes(scores: Scores, disease: Sequence[str]) -> Statistic:
    curves = [ranking.roc(score, scores.truth == place) for place, score in enumerate(scores.probabilities.T)]

    def statistic(weights: Floats) -> dict[str, Floats]:
        found = [curve(weights) for curve in curves]
        areas, precisions = ([metric(one) for one in found] for metric in (ranking.auroc, ranking.average_precision))
        of_classes = {f"auroc/{name}": area for name, area in zip(scores.classes, areas, strict=True)}
        return {"auroc": _defined_mean(areas), "auprc": _defined_mean(precisions), **of_classes}

    return statistic


def _defined_mean(columns: Sequence[Floats]) -> Floats:
    """Mean over the classes for which the number is defined; NaN without one."""
    table = np.column_stack(columns)
    defined = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        return np.where(defined, table, 0).sum(1) / defined.sum(1)


def _means(scores: Scores, disease: Sequence[str]) -> Statistic:
    gap = calibration.gaps(scores.confidence, scores.right)
    table = np.column_stack([calibration.brier(scores), scores.top == scores.answer, gap])

    def statistic(weights: Floats) -> dict[str, Floats]:
        brier, agreement, *gaps = (weights @ table / weights.sum(1, keepdims=True)).T
        named = {f"gap/{place}": gap for place, gap in enumerate(gaps)}
        return {"brier": brier, "greedy_agreement": agreement, "calibration_error": np.abs(gaps).sum(0), **named}

    return statistic


def _selection(scores: Scores, disease: Sequence[str]) -> Statistic:
    return selection(scores.confidence, scores.right)


def _screening(scores: Scores, disease: Sequence[str]) -> Statistic:
    if not disease:
        return lambda weights: {}
    curve = ranking.roc(scores.probability_of(disease), np.isin(scores.truth, scores.positions(disease)))
    return lambda weights: {"sensitivity_at_90_specificity": ranking.sensitivity_at(curve(weights), SPECIFICITY)}


FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("auroc", "auprc"), _of_classes),
    **dict.fromkeys(("brier", "calibration_error", "greedy_agreement"), _means),
    **dict.fromkeys(("aurc", "accuracy_at_80", "accuracy_at_90"), _selection),
    "sensitivity_at_90_specificity": _screening,
}
OF_CLASSES = ("auroc", "auprc", "sensitivity_at_90_specificity")  # undefined where each row has options of its own
FAMILIES_OF_QUESTIONS = {name: family for name, family in FAMILIES.items() if name not in OF_CLASSES}
