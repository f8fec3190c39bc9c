"""Answers questions by the option prior: the option that is the most frequent answer of the training questions.

It sees no image and does not read the question, only its type. A policy must beat it to have learnt more than that.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from vrft_aug.data.rows.parquet_files import parquet_files, splits_in
from vrft_aug.evaluation.answers.row_columns import row_columns
from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import QUESTION

TYPE = "slice_type"  # the column of the type of a question


def obstacle(parquet: Path, split: str, rows: pd.DataFrame) -> str:
    """Why there is no prior; "" if there is one. parquet: the folder of the prepared rows. rows: those of `split`."""
    if rows["extra_info"].iloc[0]["task"] != QUESTION:
        return "only questions have options of their own; the constant predictor is the prior of classes"
    if split == "train":
        return "it would answer the rows that it counts"
    return "" if "train" in splits_in(parquet) else f"{parquet / 'train.parquet'} does not exist"


def answer(parquet: Path, rows: pd.DataFrame, tower: object = None) -> pd.DataFrame:
    """Predictions for the rows, one row each (columns: vrft_aug/evaluation/metrics/measure.py).

    Of a row's options it chooses the one that most training questions of the same type have as their answer; of equal
    ones that of all types; of equal ones the first in the prompt. So options that no training question has are a guess.
    """
    counts = Counter(count for file in parquet_files(parquet / "train.parquet") for count in _counted(file))
    columns = [row_columns(info) for info in rows["extra_info"]]
    chosen = [_favourite(counts, row) for row in columns]
    truth = [model["ground_truth"] for model in rows["reward_model"]]
    right = [float(normalise(one) == normalise(other)) for one, other in zip(chosen, truth, strict=True)]
    facts = {"prediction": chosen, "ground_truth": truth, "rejected": "", "acc": right}
    return pd.DataFrame(columns).assign(data_source=list(rows["data_source"]), **facts)


def _counted(file: Path) -> list[tuple[str, str]]:
    """(type, answer) and ("", answer) of each training question."""
    rows = pd.read_parquet(file, columns=["reward_model", "extra_info"]).to_dict("records")
    found = [(_type(row_columns(row["extra_info"])), normalise(row["reward_model"]["ground_truth"])) for row in rows]
    return [pair for kind, name in found for pair in dict.fromkeys([(kind, name), ("", name)])]


def _favourite(counts: Counter[tuple[str, str]], row: dict[str, Any]) -> str:
    """The option of a row with the highest counts; the first of equal ones."""
    kind = _type(row)
    return str(max(row["classes"], key=lambda option: (counts[kind, normalise(option)], counts["", normalise(option)])))


def _type(row: dict[str, Any]) -> str:
    return row.get(TYPE, "")
