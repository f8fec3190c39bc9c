"""Computes the metrics of localization: overlap with the ground truth, and whether agreeing samples are right."""

import json

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from vrft_aug.evaluation.metrics import ranking_metrics as ranking
from vrft_aug.evaluation.metrics.intervals import Metrics, Statistic, bootstrap, merged, weighted_means
from vrft_aug.evaluation.metrics.probability_metrics import risk_coverage, selection
from vrft_aug.evaluation.metrics.uncertainty import box_agreement
from vrft_aug.rewards.iou import iou, read_box

Floats = NDArray[np.float64]
IOU_THRESHOLD = 0.5


def overlaps(truth: pd.Series, answers: pd.Series) -> Floats:
    """The IoU of each box with the ground truth, (n,); 0 if there is no box."""
    pairs = zip(answers, truth, strict=True)
    return np.array([iou(json.loads(box), read_box(true)) if box else 0.0 for box, true in pairs])


def box_statistic(overlap: Floats) -> Statistic:
    """mean_iou, and recall_50: the share of images with IoU >= 0.5."""
    return weighted_means({"mean_iou": overlap, "recall_50": overlap >= IOU_THRESHOLD})


def box_votes(samples: pd.DataFrame, rows: pd.DataFrame, overlap: Floats, rng: Generator, resamples: int) -> Metrics:
    """Whether the samples' agreement tells which boxes are right; the confidence is the mean IoU of all their pairs.

    n; agreement, its mean. average_precision: AP at IoU 0.5 with this confidence, the area under precision and recall,
    where recall counts the images without a right box as well. aurc, accuracy_at_80, accuracy_at_90 and risk_coverage:
    as in probability_metrics.py; a box is right if its IoU is at least 0.5.

    samples: all of each image, at least two. rows: the chosen ones, one per image. overlap: of these.
    """
    confidence = rows["source_id"].map(box_agreement(samples)).to_numpy(float)
    right = overlap >= IOU_THRESHOLD
    means = weighted_means({"agreement": confidence})
    statistic = merged([means, selection(confidence, right), _average_precision(confidence, right)])
    found = bootstrap(statistic, rows["group_id"].to_numpy(), rng, resamples)
    return {"n": len(rows), **found, "risk_coverage": risk_coverage(confidence, right)}


def _average_precision(confidence: Floats, right: NDArray[np.bool_]) -> Statistic:
    """Each image has one box to find and one box proposed: sum of (hits gained / images) * precision."""
    curve_of = ranking.coverage(confidence, right)

    def statistic(weights: Floats) -> dict[str, Floats]:
        curve = curve_of(weights)
        gained = np.diff(curve.right, axis=0, prepend=0)
        precision = np.divide(curve.right, curve.covered, out=np.zeros_like(curve.right), where=curve.covered > 0)
        return {"average_precision": (gained * precision).sum(0) / weights.sum(1)}

    return statistic
