"""Tests how probabilities are read: each row has its own order of classes, and numbers that cannot be are refused."""

import numpy as np
import pytest
from toy_runs import predictions

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.class_scores import read_scores

ANIMALS = ["cat", "dog", "hen"]


def table(**columns):
    rows = predictions(["cat", "dog", "hen"], ["cat", "hen", "hen"], ANIMALS, "classification")
    return rows.assign(**{"probabilities": [[0.7, 0.2, 0.1], [0.1, 0.4, 0.5], [0.0, 0.0, 1.0]]} | columns)


def test_each_row_has_its_own_order():
    rows = table(classes=[ANIMALS, ["hen", "cat", "dog"], ["dog", "hen", "cat"]])
    scores = read_scores("classification", rows)
    assert scores.classes == ANIMALS
    assert scores.probabilities.tolist() == [[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [1.0, 0.0, 0.0]]
    assert (scores.truth.tolist(), scores.answer.tolist(), scores.top.tolist()) == ([0, 1, 2], [0, 2, 2], [0, 1, 0])
    assert scores.right.tolist() == [True, True, False]


def test_grades_in_the_order_of_grades():
    rows = predictions(["2", "0"], ["2", "2"]).assign(probabilities=[[0, 0, 1, 0, 0], [0, 0, 0.5, 0, 0.5]])
    scores = read_scores("grading", rows)
    assert scores.classes == ["0", "1", "2", "3", "4"] and scores.top.tolist() == [2, 2]
    assert scores.probability_of(["2", "4"]).tolist() == [1, 1]
    with pytest.raises(InputError, match="'5' is not one of"):
        scores.probability_of(["5"])


def test_of_equally_probable_classes_the_policys_own_answer_counts():
    rows = table(probabilities=[[0.2, 0.4, 0.4], [0.2, 0.4, 0.4], [0.4, 0.4, 0.2]])
    assert read_scores("classification", rows).top.tolist() == [1, 2, 0]  # the answers are cat, hen, hen


def test_rows_without_probabilities_are_left_out():
    scores = read_scores("classification", table(probabilities=[None, [0.1, 0.4, 0.5], np.nan]))
    assert scores.known.tolist() == [False, True, False] and scores.truth.tolist() == [1]
    assert read_scores("classification", table(probabilities=None)) is None
    assert read_scores("classification", table().drop(columns="probabilities")) is None
    assert read_scores("localization", table()) is None


def test_an_image_whose_samples_are_all_rejected_is_never_right():
    scores = read_scores("classification", table(vote_shares=[[0, 0, 0], [0, 0.5, 0.25], [0, 0, 1]]), "vote_shares")
    assert scores.top.tolist() == [-1, 1, 2] and scores.right.tolist() == [False, True, True]


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [0.5, 0.3, 0.1], [0.9, 0.2, -0.1], [0.5, np.nan, 0.5], [0.5, 0.4, 0.3]])
def test_other_numbers_are_refused(wrong):
    with pytest.raises(InputError, match=r"image image_1: probabilities must have a number from 0 to 1 per class"):
        read_scores("classification", table(probabilities=[[0.7, 0.2, 0.1], wrong, [0, 0, 1]]))


def test_vote_shares_may_sum_to_less_but_not_to_more():
    shares = [[0.7, 0.2, 0.1], [0.5, 0.1, 0.0], [0.5, 0.4, 0.3]]
    with pytest.raises(InputError, match=r"image image_2: vote_shares must .* which sum to at most 1"):
        read_scores("classification", table(vote_shares=shares), "vote_shares")
