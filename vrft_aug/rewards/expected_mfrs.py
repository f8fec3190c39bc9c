"""Pays for a grade by how near it is to the grades of several readers: R_MFRS in expectation over the readers."""

from collections.abc import Sequence
from functools import lru_cache

from vrft_aug.errors import InputError
from vrft_aug.rewards.accuracy import class_of, true_class
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.grade_distance import grade
from vrft_aug.rewards.mfrs import paid
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(
    response: Response, ground_truth: str, row: ExtraInfo, *, credit: Sequence[float] = (1.0, 1 / 4, 1 / 16)
) -> float:
    """E(O) / max over the row's grades o of E(o), where E(o) is the mean over the readers' grades g of credit[|o - g|].

    credit: as in mfrs.py (eq. 9). The division gives the best grade 1, so that the weight beside `format` does not
    depend on how far the readers are apart. The best grade need not be the ground truth: readers who say 2 and 4 pay 1
    for either, and less for their mean 3. A row that no reader graded is paid by its ground truth alone.
    Raises InputError where a class is not an integer, and where a reader's grade is none of the classes.
    """
    answer = class_of(response.label, row) if response.label else None
    if answer is None:
        return 0.0
    grades = given_classes(row) or [true_class(ground_truth, row)]
    return _shares(tuple(row["classes"]), tuple(grades), tuple(credit))[answer]


@lru_cache(maxsize=4096)  # the samples of a prompt have the same readers
def _shares(classes: tuple[str, ...], grades: tuple[str, ...], credit: tuple[float, ...]) -> dict[str, float]:
    """What each class pays."""
    expected = {name: sum(paid(abs(grade(name) - grade(one)), credit) for one in grades) for name in classes}
    best = max(expected.values()) or 1.0
    return {name: value / best for name, value in expected.items()}


def given_classes(row: ExtraInfo) -> list[str]:
    """The class that each reader gave, without the readers who gave none; [] for rows from before there were readers.

    Raises InputError for a word that is none of the row's classes.
    """
    readers = row.get("readers")
    tags = [tag for tag in (() if readers is None else readers) if normalise(tag["value"])]
    given = [class_of(normalise(tag["value"]), row) for tag in tags]
    for tag, name in zip(tags, given, strict=True):
        if name is None:
            raise InputError(f"reader {tag['name']} gives {tag['value']!r}, which is not among the row's classes "
                             f"{list(row['classes'])}: prepare again")
    return [name for name in given if name is not None]
