"""Tests whether the agreement of boxes tells which are right, by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from toy_runs import predictions

from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.evaluation.metrics.uncertainty import box_agreement

TRUTH, OTHER = "[0, 0, 10, 10]", "[20, 20, 30, 30]"


def table(answers: list[tuple[str, ...]]) -> pd.DataFrame:
    samples = [predictions([TRUTH] * len(answers), one, [], "localization").assign(sample=number, vote=number == 0)
               for number, one in enumerate(zip(*answers, strict=True))]  # fmt: skip
    return pd.concat(samples, ignore_index=True)


def test_by_hand():
    rows = table([(TRUTH, TRUTH), (OTHER, OTHER), (TRUTH, "[0, 0, 10, 6]"), ("", "")])
    (found,) = measure(rows, resamples=50).values()
    votes = found["votes"]
    assert (votes["n"], found["recall_50"]["value"]) == (4, 0.5)
    assert votes["agreement"]["value"] == pytest.approx((1 + 1 + 0.6 + 0) / 4)
    assert votes["average_precision"]["value"] == pytest.approx((1 / 2 + 2 / 3) / 4)  # of the two surest one is right
    assert votes["accuracy_at_80"]["value"] == pytest.approx(2 / 3.2)
    assert votes["risk_coverage"] == {"coverage": [0.5, 0.75, 1], "risk": pytest.approx([0.5, 1 / 3, 0.5])}


def test_average_precision_is_scikit_learns_times_the_share_that_is_found():
    rng = np.random.default_rng(0)
    boxes = [f"[0, 0, 10, {height}]" for height in range(1, 11)]
    rows = table([tuple(rng.choice(boxes, 4)) for _ in range(40)])
    (found,) = measure(rows, resamples=20).values()
    chosen = rows[rows["vote"]]
    right = chosen["prediction"].str.extract(r"(\d+)\]")[0].astype(int) >= 5
    expected = average_precision_score(right, box_agreement(rows)[chosen["source_id"]]) * right.mean()
    assert found["votes"]["average_precision"]["value"] == pytest.approx(expected)
    assert found["recall_50"]["value"] == right.mean()


def test_one_sample_per_image_has_no_votes():
    (found,) = measure(predictions([TRUTH], [TRUTH], [], "localization"), resamples=10).values()
    assert "votes" not in found
