"""Tests the threshold below which an image is referred: fitted on validation, tested on other images."""

import numpy as np
import pytest
from toy_scores import draw

from vrft_aug.evaluation.metrics.intervals import wilson
from vrft_aug.evaluation.metrics.selective import referral, threshold_for_accuracy, threshold_for_coverage


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_threshold_answers_as_many_images_as_the_accuracy_allows():
    confidence = np.linspace(1, 0.05, 20)
    right = np.r_[np.ones(12, bool), [False, True, True, False], np.zeros(4, bool)]  # 14 of the first 15 are right
    assert threshold_for_accuracy(confidence, right, 0.9) == pytest.approx(confidence[14])
    assert threshold_for_accuracy(confidence, right, 1.0) == pytest.approx(confidence[11])
    assert threshold_for_accuracy(confidence, right, 0.0) == pytest.approx(0.05)
    assert threshold_for_accuracy(confidence, np.zeros(20, bool), 0.5) is None


def test_few_sure_images_do_not_make_a_threshold():
    confidence = np.linspace(1, 0, 40)
    assert threshold_for_accuracy(confidence, np.arange(40) < 9, 1.0) is None
    assert threshold_for_accuracy(confidence, np.arange(40) < 10, 1.0) == pytest.approx(confidence[9])


def test_images_of_equal_confidence_stay_together():
    confidence, right = np.repeat([0.9, 0.6], 12), np.r_[np.ones(12, bool), np.tile([True, False], 6)]
    assert threshold_for_accuracy(confidence, right, 0.9) == 0.9
    assert threshold_for_accuracy(confidence, right, 0.75) == 0.6
    assert [threshold_for_coverage(confidence, share) for share in (0.4, 0.5, 0.51, 1.0)] == [0.9, 0.9, 0.6, 0.6]


def test_what_it_gives_on_test():
    validation, test = draw(rng(), 800), draw(np.random.default_rng(1), 500)
    found = referral(validation, test, np.arange(500), rng(), 50, accuracy=0.9)
    answered = test.confidence >= found["threshold"]
    assert found["validation"]["accuracy"] >= 0.9 and 0.2 < found["validation"]["coverage"] < 0.8
    assert found["test"]["referred"] == (~answered).sum() and found["test"]["n"] == 500
    assert found["test"]["coverage"] == wilson(int(answered.sum()), 500)
    assert found["test"]["accuracy"] == wilson(int(test.right[answered].sum()), int(answered.sum()))
    assert found["test"]["accuracy"]["value"] == pytest.approx(0.9, abs=0.05)
    wanted = referral(validation, test, np.arange(500), rng(), 50, at_coverage=0.8)
    assert wanted["target"] == {"coverage": 0.8} and wanted["validation"]["coverage"] == pytest.approx(0.8)


def test_patients_with_several_images_widen_the_intervals():
    validation, test = draw(rng(), 800), draw(np.random.default_rng(1), 60)
    many = type(test)(test.classes, *(np.repeat(one, 8, axis=0) for one in (
        test.probabilities, test.truth, test.answer, test.known)))  # fmt: skip
    alone, grouped = (referral(validation, many, groups, rng(), 300, accuracy=0.8)["test"]["coverage"]
                      for groups in (np.arange(480), np.repeat(np.arange(60), 8)))  # fmt: skip
    assert grouped["high"] - grouped["low"] > 2 * (alone["high"] - alone["low"])


def test_a_target_out_of_reach_has_no_threshold():
    scores = draw(rng(), 50)
    wrong = type(scores)(scores.classes, scores.probabilities, (scores.answer + 1) % 3, scores.answer, scores.known)
    found = referral(wrong, scores, np.arange(50), rng(), 10, accuracy=0.9)
    assert found["threshold"] is None and found["test"] is None
