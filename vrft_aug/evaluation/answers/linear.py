"""Answers with logistic regression, trained on the training rows: an opponent that needs no large language model.

What it reads of an image differs: pixels.py, features.py. Nothing is tuned on the test images, nor on others.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vrft_aug.data.rows.parquet_files import parquet_files, splits_in
from vrft_aug.evaluation.answers.row_columns import row_columns
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

ITERATIONS = 5000  # at most; lbfgs needs a few hundred
MOST = 10_000  # training images; of a larger set an even subset, so that its time is bounded
BATCH = 64  # rows in memory at once
# The encoded images of training and of the test -> a row of numbers per image, for both.
Read = Callable[[Iterable[bytes], Iterable[bytes]], tuple[NDArray, NDArray]]


def obstacle(parquet: Path, split: str, rows: pd.DataFrame) -> str:
    """Why there is nothing to answer, or nothing to train on; "" if there is no obstacle.

    parquet: the folder of the prepared rows. rows: those of `split`.
    """
    if rows["extra_info"].iloc[0]["task"] in BOX_TASKS:
        return "boxes are no classes"
    if rows["extra_info"].iloc[0]["task"] == QUESTION:
        return "each question has options of its own"
    if split == "train":
        return "it would answer the rows that it is trained on"
    if "train" not in splits_in(parquet):
        return f"{parquet / 'train.parquet'} does not exist"
    return "" if len(set(training_labels(parquet))) > 1 else "the training rows hold fewer than two classes"


def answer(parquet: Path, rows: pd.DataFrame, read: Read, penalty: float) -> pd.DataFrame:
    """Predictions for the rows, one row each, with probabilities (columns: vrft_aug/evaluation/metrics/measure.py).

    parquet: the folder of the prepared rows, with those of training; there is no `obstacle`. penalty: of the squared
    coefficients, on a scale where each number has a standard deviation of 1; 1 / C of scikit-learn. The same rows give
    the same predictions.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import, and no check needs it
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = training_labels(parquet)
    chosen = even_subset(labels, MOST)
    counted = training_images(parquet, set(chosen.tolist()))
    seen, asked = side_by_side(read, counted, ([one["bytes"] for one in shown] for shown in rows["images"]))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, max_iter=ITERATIONS))
    model.fit(seen, np.array(labels)[chosen])
    shares = pd.DataFrame(model.predict_proba(asked), columns=model.classes_)
    return _table(rows, model.predict(asked), shares)


def even_subset(labels: Sequence[str], most: int) -> NDArray[np.int64]:
    """Positions of at most `most` labels, ascending. Each class keeps its share: the stride runs over sorted labels."""
    size = min(most, len(labels))
    order = np.argsort(np.array(labels), kind="stable")
    return np.sort(order[np.arange(size) * len(labels) // size])


def training_labels(parquet: Path) -> list[str]:
    tables = [pd.read_parquet(file, columns=["reward_model"]) for file in parquet_files(parquet / "train.parquet")]
    return [model["ground_truth"] for table in tables for model in table["reward_model"]]


def side_by_side(
    read: Read, seen: Iterable[Sequence[bytes]], asked: Iterable[Sequence[bytes]]
) -> tuple[NDArray, NDArray]:
    """What `read` gives for the images of each row, side by side; zeros where a row has fewer images than others."""
    numbers: tuple[list[int], list[int]] = ([], [])

    def each(rows: Iterable[Sequence[bytes]], counted: list[int]) -> Iterator[bytes]:
        for shown in rows:
            counted.append(len(shown))
            yield from shown

    found = read(each(seen, numbers[0]), each(asked, numbers[1]))
    most = max(chain(*numbers))
    both = [_padded(table, counted, most) for table, counted in zip(found, numbers, strict=True)]
    return both[0], both[1]


def _padded(table: NDArray, numbers: Sequence[int], most: int) -> NDArray:
    """(rows, most * width) from (images, width). numbers: images of each row."""
    there = np.arange(most) < np.array(numbers)[:, None]
    wide = np.zeros((*there.shape, table.shape[1]), table.dtype)
    wide[there] = table
    return wide.reshape(len(numbers), -1)


def training_images(parquet: Path, chosen: set[int]) -> Iterator[list[bytes]]:
    """The encoded images of each of the training rows at the chosen positions."""
    position = 0
    for file in parquet_files(parquet / "train.parquet"):
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["images"]):
            for images in batch.column("images"):
                if position in chosen:
                    yield [image["bytes"] for image in images.as_py()]
                position += 1


def _table(rows: pd.DataFrame, answers: Sequence[str], shares: pd.DataFrame) -> pd.DataFrame:
    """shares: a column per class of the training rows; another class of a prompt has probability 0."""
    columns = pd.DataFrame(list(map(row_columns, rows["extra_info"])))
    truth = [model["ground_truth"] for model in rows["reward_model"]]
    by_image = shares.to_dict("records")
    return pd.DataFrame({
        "data_source": list(rows["data_source"]),
        **columns,
        "probabilities": [[float(one.get(name, 0.0)) for name in names]
                          for names, one in zip(columns["classes"], by_image, strict=True)],
        "prediction": list(map(str, answers)),
        "ground_truth": truth,
        "rejected": "",
        "acc": [float(answer == label) for answer, label in zip(answers, truth, strict=True)],
    })  # fmt: skip
