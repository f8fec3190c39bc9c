"""Tests the rule for too little data, at its bounds."""

import pytest
from toy_runs import predictions

from vrft_aug.evaluation.evaluate import accuracy_text, headline
from vrft_aug.evaluation.metrics.intervals import mcnemar, wilson
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.evaluation.metrics.too_little import DISCORDANT, FEWEST, WIDEST, too_little


def half_right(images: int, **columns) -> dict:
    """The metrics of answers of which half are right, with as many images of each of two classes."""
    truth = ["cat", "dog"] * (images // 2)
    answers = ["cat", "dog", "dog", "cat"] * (images // 4)
    table = predictions(truth, answers, ["cat", "dog"], "classification").assign(**columns)
    (metrics,) = measure(table, resamples=50).values()
    return metrics


def test_the_interval_may_be_20_points_wide():
    widths = {n: (found := wilson(n // 2, n))["high"] - found["low"] for n in (92, 96)}
    assert widths[92] > WIDEST > widths[96]
    assert too_little(half_right(96)) == ""
    assert too_little(half_right(92)) == (
        "too little data: 92 test images; the interval of the accuracy is 20.0 points wide; a difference below 6.5 "
        "points cannot be shown"
    )


@pytest.mark.parametrize("rare", [FEWEST - 1, FEWEST])
def test_a_class_has_at_least_ten_images(rare: int):
    truth = ["cat"] * 400 + ["dog"] * rare
    (metrics,) = measure(predictions(truth, truth, ["cat", "dog"], "classification"), resamples=10).values()
    text = too_little(metrics)
    assert text.startswith("too little data: 409 test images, 9 of class dog; ") if rare < FEWEST else text == ""


def test_few_groups_are_too_little_whatever_their_interval_says():
    groups = [f"patient_{position // 2 % 9}" for position in range(400)]
    assert "400 test images, 9 groups" in too_little(half_right(400, group_id=groups))
    groups = [f"patient_{position // 4 % 50}" for position in range(400)]
    assert too_little(half_right(400, group_id=groups)) == ""


def test_the_interval_over_groups_counts_where_it_is_wider():
    table = predictions(["cat", "dog"] * 100, ["cat", "dog"] * 50 + ["dog", "cat"] * 50, ["cat", "dog"],
                        "classification")  # fmt: skip
    table = table.assign(group_id=[f"patient_{position // 10}" for position in range(200)])
    (metrics,) = measure(table, resamples=200).values()
    assert metrics["accuracy"]["high"] - metrics["accuracy"]["low"] < WIDEST
    assert too_little(metrics).startswith("too little data: 200 test images; the interval of the accuracy is ")


def test_the_smallest_difference_is_that_of_mcnemars_test():
    truth = ["0"] * 20
    for gained, significant in ((DISCORDANT - 1, False), (DISCORDANT, True)):
        worse = predictions(truth, ["1"] * gained + ["0"] * (20 - gained))
        assert (mcnemar(worse, predictions(truth, truth))["p"] < 0.05) == significant


def test_a_handful_of_images_shows_no_difference_and_the_terminal_says_so():
    metrics = half_right(4)
    assert too_little(metrics).endswith("; no difference can be shown")
    assert headline(metrics) == f"{accuracy_text(metrics)}; {too_little(metrics)}"
    assert headline(half_right(400)) == "accuracy 0.500"


def test_boxes_have_no_classes():
    boxes = predictions(["[0, 0, 4, 4]"] * 400, ["[0, 0, 4, 4]"] * 400, [], "localization")
    (metrics,) = measure(boxes, resamples=10).values()
    assert too_little(metrics) == ""
