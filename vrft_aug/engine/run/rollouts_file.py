"""Writes and reads rollouts: for some prompts of each step, all answers of the policy and what each was paid.

    <run>/rollouts/00007.train.parquet    one row per group of step 7: a prompt with its samples (SCHEMA)
    <run>/rollouts/00008.val.parquet      the same of the validation after step 8, where a group may have one sample

A file is written whole, so a reader at any time sees all of it or none. The image is not in it: `index` and `source_id`
name its row in `<split>.parquet` of the run's prepared rows. An earlier version wrote no such files.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from vrft_aug.errors import InputError
from vrft_aug.files import replacing

FOLDER = "rollouts"
SPLITS = ("train", "val")
NAME = re.compile(r"(\d+)\.(train|val)\.parquet")


class Part(TypedDict):
    """A reward of the objective: its value before the weight, and what it adds to the score."""

    name: str
    value: float
    share: float


class Answer(TypedDict):
    """One sample. prediction, rejected, acc, score: see `compute_score`. tokens: the response's length.

    advantage: the mean over its tokens; None in a validation. kl: to the reference policy when the sample was drawn,
    k3 (exp(d) - d - 1, d = log p_ref - log p; Schulman 2020), the mean over its tokens, in nats; None without one.
    """

    response: str
    prediction: str
    rejected: str
    acc: float
    score: float
    parts: list[Part]
    tokens: int
    advantage: float | None
    kl: float | None


class Group(TypedDict):
    """A prompt of a step. prompt: its name in the step. followed: it is kept whenever it occurs, else it was mixed.

    truth: the ground truth, as in the row; boxes are in original pixels. text: the prompt as the policy reads it.
    knowledge: of the prompt, one text per class, in the order of `classes`; empty without.
    """

    step: int
    split: str
    prompt: str
    followed: bool
    index: int
    source_id: str
    data_source: str
    task: str
    truth: str
    classes: list[str]
    text: str
    knowledge: list[str]
    answers: list[Answer]


_PART = pa.struct({"name": pa.string(), "value": pa.float64(), "share": pa.float64()})
_ANSWER = pa.struct({
    "response": pa.string(),
    "prediction": pa.string(),
    "rejected": pa.string(),
    "acc": pa.float64(),
    "score": pa.float64(),
    "parts": pa.list_(_PART),
    "tokens": pa.int64(),
    "advantage": pa.float64(),
    "kl": pa.float64(),
})
SCHEMA = pa.schema({
    "step": pa.int64(),
    "split": pa.string(),
    "prompt": pa.string(),
    "followed": pa.bool_(),
    "index": pa.int64(),
    "source_id": pa.string(),
    "data_source": pa.string(),
    "task": pa.string(),
    "truth": pa.string(),
    "classes": pa.list_(pa.string()),
    "text": pa.string(),
    "knowledge": pa.list_(pa.string()),
    "answers": pa.list_(_ANSWER),
})
# What a list of many steps needs of a group and its answers; it is read much faster than the whole.
HEAD = ("index", "source_id", "truth", "followed", "classes", *(f"answers.list.element.{name}"
        for name in ("acc", "score", "rejected")))  # fmt: skip


def path_of(run: Path, step: int, split: str) -> Path:
    return run / FOLDER / f"{step:05}.{split}.parquet"


def write(run: Path, groups: Sequence[Group], megabytes: int) -> None:
    """Write the groups of one step and split, then keep the folder below `megabytes`: every second step goes."""
    file = path_of(run, groups[0]["step"], groups[0]["split"])
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part:
        pq.write_table(pa.Table.from_pylist(list(groups), SCHEMA), part, compression="zstd")
    _thin(run, megabytes * 10**6)


def steps(run: Path) -> list[tuple[int, str]]:
    """(step, split) of the files that exist, in the order of the steps; a step's training before its validation."""
    names = (NAME.fullmatch(file.name) for file in (run / FOLDER).glob("*.parquet"))
    return sorted((int(name[1]), name[2]) for name in names if name)


def read(run: Path, step: int, split: str) -> list[Group]:
    """The groups of one step and split. Raises InputError for a file that is missing, damaged or of another form."""
    file = path_of(run, step, split)
    try:
        return pq.read_table(file, schema=SCHEMA).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, str(error)) from None


def read_heads(run: Path, step: int, split: str) -> list[Group]:
    """The same groups with the fields of HEAD alone. Raises InputError as `read` does."""
    file = path_of(run, step, split)
    try:
        with pq.ParquetFile(file) as opened:
            if not opened.schema_arrow.equals(SCHEMA):
                raise _unreadable(file, "it has other columns")
            return opened.read(HEAD, use_threads=False).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, str(error)) from None


def _unreadable(file: Path, reason: str) -> InputError:
    first = reason.partition("\n")[0]
    return InputError(f"{file}: no rollouts can be read ({first}): remove the file")


def drop_after(run: Path, step: int) -> None:
    """Remove the files of the steps after `step`: a resumed training does them again."""
    for later, split in steps(run):
        if later > step:
            path_of(run, later, split).unlink(missing_ok=True)


def _thin(run: Path, limit: int) -> None:
    """While the files are larger than `limit` bytes, remove every second of each split, save the first and last."""
    while True:
        files = {split: [path_of(run, step, one) for step, one in steps(run) if one == split] for split in SPLITS}
        between = [file for found in files.values() for file in found[1:-1:2]]
        if not between or sum(file.stat().st_size for found in files.values() for file in found) <= limit:
            return
        for file in between:
            file.unlink()
