"""Reads the probabilities or vote shares of a predictions table: one number per image and class, in one order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.class_metrics import class_order, codes, matched_answers
from vrft_aug.evaluation.metrics.question_metrics import chosen_options
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]
TOLERANCE = 1e-4  # of the sum of probabilities


@dataclass(frozen=True)
class Scores:
    """The probability of each class for the n images that have them.

    own: each row has options of its own, so column k is the row's k-th option and no class; `classes` is then empty.

    probabilities: (n, classes); a row of zeros means that every sample was rejected. truth, answer: (n,), positions in
    `classes` of the ground truth and of the policy's own answer; the answer is len(classes) if it was rejected.
    known: (rows,), which rows of the table have probabilities.
    """

    classes: list[str]
    probabilities: Floats
    truth: Ints
    answer: Ints
    known: Bools
    own: bool = False

    @cached_property
    def confidence(self) -> Floats:
        """The highest probability of each image, (n,)."""
        return self.probabilities.max(1)

    @cached_property
    def top(self) -> Ints:
        """The most probable class of each image, (n,); of equal ones the policy's own answer, else the first.

        It is -1 where all are 0.
        """
        own = np.column_stack([self.probabilities, np.zeros(len(self.truth))])[np.arange(len(self.truth)), self.answer]
        top = np.where(own == self.confidence, self.answer, self.probabilities.argmax(1))
        return np.where(self.confidence > 0, top, -1)

    @cached_property
    def right(self) -> Bools:
        """Whether the most probable class is the ground truth, (n,)."""
        return self.top == self.truth

    def probability_of(self, names: Sequence[str]) -> Floats:
        """The sum over some classes, (n,)."""
        return self.probabilities[:, self.positions(names)].sum(1)

    def positions(self, names: Sequence[str]) -> list[int]:
        """Raises InputError for a name that is no class."""
        place = {normalise(name): number for number, name in enumerate(self.classes)}
        if unknown := [name for name in names if normalise(name) not in place]:
            raise InputError(f"dataset.disease: {unknown[0]!r} is not one of {self.classes}")
        return [place[normalise(name)] for name in names]


def read_scores(task: str, rows: pd.DataFrame, column: str = "probabilities") -> Scores | None:
    """The scores of a table with one row per image; None if no row has any.

    column: probabilities, which sum to 1, or vote_shares, which sum to at most 1. Raises InputError for other numbers,
    and for a list that is not as long as the row's list of classes. Of questions see `Scores.own`.
    """
    if task in BOX_TASKS or column not in rows or not (known := rows[column].notna().to_numpy()).any():
        return None
    found = rows[known]
    if task == QUESTION:
        return _of_options(found, column, known)
    classes = class_order(task, rows)
    truth, answer = codes(classes, found["ground_truth"], matched_answers(found, classes))
    return Scores(classes, _aligned(found, column, classes), truth, answer, known)


def _of_options(rows: pd.DataFrame, column: str, known: Bools) -> Scores:
    """The scores of questions: a row with fewer options than others has zeros behind them."""
    options = [[normalise(str(name)) for name in names] for names in rows["classes"]]
    most = max(map(len, options))

    def places(texts: pd.Series) -> Ints:
        named = zip(options, texts.map(normalise), strict=True)
        return np.array([names.index(text) if text in names else most for names, text in named], np.intp)

    truth, answer = places(rows["ground_truth"]), places(chosen_options(rows))
    return Scores([], _placed(rows, column, [[*range(len(names))] for names in options], most), truth, answer, known,
                  own=True)  # fmt: skip


def _aligned(rows: pd.DataFrame, column: str, classes: list[str]) -> Floats:
    """(rows, classes): each row's list is in the order of the row's own classes."""
    place = {normalise(name): number for number, name in enumerate(classes)}
    places = [[place[normalise(str(name))] for name in names] for names in rows["classes"]]
    return _placed(rows, column, places, len(classes))


def _placed(rows: pd.DataFrame, column: str, places: Sequence[Sequence[int]], width: int) -> Floats:
    """(rows, width): each row's numbers at the row's places."""
    table = np.zeros((len(rows), width))
    for line, numbers, wanted in zip(table, rows[column], places, strict=True):
        if len(numbers) == len(wanted):
            line[list(wanted)] = numbers
        else:
            line[0] = np.nan
    total = table.sum(1)
    wrong = ~((table >= 0).all(1) & (total <= 1 + TOLERANCE) & ((column != "probabilities") | (total >= 1 - TOLERANCE)))
    if wrong.any():
        row = rows[wrong].iloc[0]
        rule = "sum to 1" if column == "probabilities" else "sum to at most 1"
        raise InputError(f"image {row.source_id}: {column} must have a number from 0 to 1 per class, which {rule}, not "
                         f"{list(row[column])} for {len(row['classes'])} classes; evaluate again")  # fmt: skip
    return table
