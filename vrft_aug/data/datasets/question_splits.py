"""Splits questions into train, val and test so that all questions about an image (or of a patient) are in one split."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from vrft_aug.data.datasets.csv_file import Row, Table
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.sample import SPLITS, DataWarning, Question
from vrft_aug.errors import InputError


class Found(NamedTuple):
    """A question of a table. stated: the split that its file or row names, "" for none."""

    table: Table
    row: Row
    image: str
    question: Question
    group: str
    stated: str
    slices: dict[str, str]


def homes(found: Sequence[Found], shared: str, test: float, val: float, seed: int) -> list[str]:
    """The split of each question, "" for one that is left out. shared: see questions.py.

    Where nothing names a split, groups are drawn at random; where only some splits are named, the others are drawn from
    the training's groups. Raises InputError for a group in two splits, unless it is to be dropped.
    """
    if not any(one.stated for one in found):
        return _drawn(found, test, val, seed)
    if shared == "refuse":
        _refuse_shared(found)
    last: dict[str, int] = {}
    for one in found:
        last[one.group] = max(last.get(one.group, 0), SPLITS.index(one.stated))
    home = [one.stated if SPLITS[last[one.group]] == one.stated else "" for one in found]
    if number := home.count(""):
        text = f"questions about an image or group that a later split has: {number} left out"
        warnings.warn(text, DataWarning, stacklevel=3)
    named = {one.stated for one in found}
    test, val = (0 if name in named else share for name, share in (("test", test), ("val", val)))
    train = [place for place, split in enumerate(home) if split == "train"]
    for place, split in zip(train, _drawn([found[place] for place in train], test, val, seed), strict=True):
        home[place] = split
    return home


def _drawn(found: Sequence[Found], test: float, val: float, seed: int) -> list[str]:
    return split_by_group([0] * len(found), [one.group for one in found], test, val, seed)


def _refuse_shared(found: Sequence[Found]) -> None:
    first: dict[str, Found] = {}
    for one in found:
        known = first.setdefault(one.group, one)
        if known.stated != one.stated:
            places = f"{known.table.place(known.row)} is in {known.stated}, {one.table.place(one.row)} in {one.stated}"
            raise InputError(f"'{one.group}' is in two splits: {places}; put all questions about an image (or of a "
                             "patient) into one split, or set dataset.loader.shared=drop to leave those of the earlier "
                             "split out")  # fmt: skip
