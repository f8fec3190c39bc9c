"""The expected R_MFRS pays what its formula says for the grades of several readers, and falls back to R_MFRS."""

import itertools
from statistics import fmean

import pytest
from reward_rows import RETINA, think

from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score
from vrft_aug.rewards.expected_mfrs import given_classes
from vrft_aug.rewards.parsing import TASKS

CREDIT = (1, 1 / 4, 1 / 16, 0, 0)


def read(*values: str, **row: object) -> dict:
    """The row as several readers graded it."""
    return RETINA | {"readers": [{"name": f"reader {i}", "value": value} for i, value in enumerate(values)]} | row


def paid(answer: object, row: dict, truth: str = "2", objective: str = "mfrs_readers") -> float:
    result = compute_score("d", think(rf"\boxed{{{answer}}}"), truth, row, objective)
    return result["mfrs" if objective == "mfrs" else "expected_mfrs"]


@pytest.mark.parametrize(("readers", "expected"), [
    (("2", "2"), [1 / 16, 1 / 4, 1, 1 / 4, 1 / 16]),           # they agree: R_MFRS
    (("1", "2"), [1 / 4, 1, 1, 1 / 4, 1 / 20]),                # (1/4 + 1/16) / (1 + 1/4), (1 + 1/4) / (1 + 1/4), ...
    (("2", "4"), [1 / 17, 4 / 17, 1, 8 / 17, 1]),              # their mean 3 is paid less than either
    (("0", "4"), [1, 1 / 4, 1 / 8, 1 / 4, 1]),
    (("2", "2", "3"), [2 / 36, 9 / 36, 1, 24 / 36, 6 / 36]),   # two of three: (2 + 1/4) / 3 is the best
    (("", "3"), [0, 1 / 16, 1 / 4, 1, 1 / 4]),                 # one of them did not read it
])  # fmt: skip
def test_known_grades(readers, expected):
    assert [paid(grade, read(*readers)) for grade in range(5)] == pytest.approx(expected)


@pytest.mark.parametrize("readers", itertools.product("01234", repeat=2))
def test_it_is_the_mean_over_the_readers_over_its_best(readers):
    mean = [fmean(CREDIT[abs(grade - int(reader))] for reader in readers) for grade in range(5)]
    found = [paid(grade, read(*readers)) for grade in range(5)]
    assert found == pytest.approx([value / max(mean) for value in mean]) and max(found) == 1.0


@pytest.mark.parametrize("row", [RETINA, read(), read("", " "), RETINA | {"readers": None}])
def test_without_a_reader_the_ground_truth_pays(row):
    for truth, answer in itertools.product("01234", "01234"):
        assert paid(answer, row, truth) == paid(answer, row, truth, "mfrs")


def test_a_reader_says_a_class_by_any_case_or_alias():
    row = read("Two", "TWO ", classes=["1", "2"], aliases=[["one"], ["two"]])
    assert given_classes(row) == ["2", "2"] and paid("two", row) == 1.0


def test_no_grade_and_no_credit_pay_nothing():
    row = read("1", "3")
    assert paid("five", row) == paid("7", row) == 0.0
    nothing = {task: {"expected_mfrs": {"weight": 1, "credit": [0.0]}} for task in TASKS}
    assert compute_score("d", think(r"\boxed{1}"), "1", row, nothing)["score"] == 0.0


def test_a_reader_who_gives_no_class_is_an_error_of_the_row():
    with pytest.raises(InputError, match=r"^reader reader 1 gives '9', which is not among the row's classes .*again$"):
        paid("2", read("2", "9"))
