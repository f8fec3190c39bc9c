"""Tests how unsure a policy is about each image, by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy as scipy_entropy
from toy_runs import predictions

from vrft_aug.evaluation.metrics.uncertainty import box_agreement, entropy, margin, uncertainty

BOX, HALF, OTHER = "[0, 0, 10, 10]", "[0, 0, 10, 5]", "[20, 20, 30, 30]"


def test_margin_and_entropy():
    said = np.array([[1.0, 0, 0], [0.5, 0.3, 0.2], [1 / 3] * 3])
    assert margin(said) == pytest.approx([1, 0.2, 0], abs=1e-12)
    assert entropy(said) == pytest.approx(scipy_entropy(said, axis=1), abs=1e-9)
    assert entropy(said)[0] == 0 and entropy(said)[2] == pytest.approx(np.log(3))
    assert margin(np.ones((2, 1))).tolist() == [1, 1]


def test_rejected_votes_are_one_more_class():
    assert entropy(np.array([[0.5, 0.0], [0.0, 0.0]])) == pytest.approx([np.log(2), 0])


def boxes(*answers: tuple[str, ...]) -> pd.DataFrame:
    """A row per image and sample; the first sample is the vote."""
    samples = [predictions([BOX] * len(answers), one, [], "localization").assign(sample=number, vote=number == 0)
               for number, one in enumerate(zip(*answers, strict=True))]  # fmt: skip
    return pd.concat(samples, ignore_index=True)


def test_boxes_agree_as_far_as_they_overlap():
    found = box_agreement(boxes((BOX, BOX, BOX), (BOX, HALF, OTHER), (BOX, BOX, ""), ("", "", "")))
    assert found.tolist() == pytest.approx([1, 0.5 / 3, 1 / 3, 0])
    assert np.isnan(box_agreement(boxes((BOX,)))["image_0"])


def test_one_line_per_image_with_what_is_known():
    rows = predictions(["0", "1"], ["0", "1"]).assign(probabilities=[None, [0.5, 0.5, 0, 0, 0]])
    found = uncertainty(rows)
    assert found["margin"].tolist() == pytest.approx([np.nan, 0], nan_ok=True)
    assert found["entropy"][1] == pytest.approx(np.log(2)) and found["vote_entropy"].isna().all()
    samples = boxes((BOX, BOX), (BOX, OTHER))
    assert uncertainty(samples)["box_agreement"].tolist() == [1, 0]
    assert uncertainty(samples).index.equals(samples.index[samples["vote"]])
