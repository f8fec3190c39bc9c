"""Answers with logistic regression on the images' pixels, trained on the training rows: what needs no large model.

Nothing is tuned. A class has a coefficient per pixel, 784 (grey) or 2352, often more than there are training images,
and neighbouring pixels are nearly copies of each other. scikit-learn's C = 1 would fit the noise, so C is 0.01.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from vrft_aug.data.rows.parquet_files import parquet_files, splits_in
from vrft_aug.evaluation.answers.row_columns import row_columns

SIDE = 28  # pixels: MedMNIST's side; larger images are reduced to it
C = 0.01  # of LogisticRegression: the inverse of the penalty's strength
ITERATIONS = 5000  # at most; lbfgs needs a few hundred
MOST = 10_000  # training images; of a larger set an even subset, so that its time is bounded
BATCH = 64  # rows in memory at once
Pixels = NDArray[np.uint8]


def obstacle(parquet: Path, split: str, rows: pd.DataFrame) -> str:
    """Why there is nothing to answer, or nothing to train on; "" if there is no obstacle.

    parquet: the folder of the prepared rows. rows: those of `split`.
    """
    if rows["extra_info"][0]["task"] == "localization":
        return "boxes are no classes"
    if split == "train":
        return "it would answer the rows that it is trained on"
    if "train" not in splits_in(parquet):
        return f"{parquet / 'train.parquet'} does not exist"
    return "" if len(set(_labels(parquet))) > 1 else "the training rows hold fewer than two classes"


def answer_from_pixels(parquet: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Predictions for the rows, one row each (columns: vrft_aug/evaluation/metrics/measure.py).

    parquet: the folder of the prepared rows, with those of training; there is no `obstacle`. The same rows give the
    same predictions.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import, and no check needs it
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = _labels(parquet)
    chosen = even_subset(labels, MOST)
    seen = reduced(_images(parquet, set(chosen.tolist())))
    asked = reduced(images[0]["bytes"] for images in rows["images"])
    if (seen == seen[..., :1]).all():  # grey: the other two channels are copies
        seen, asked = seen[..., :1], asked[..., :1]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=ITERATIONS))
    model.fit(seen.reshape(len(seen), -1), np.array(labels)[chosen])
    return _table(rows, model.predict(asked.reshape(len(asked), -1)))


def even_subset(labels: Sequence[str], most: int) -> NDArray[np.int64]:
    """Positions of at most `most` labels, ascending. Each class keeps its share: the stride runs over sorted labels."""
    size = min(most, len(labels))
    order = np.argsort(np.array(labels), kind="stable")
    return np.sort(order[np.arange(size) * len(labels) // size])


def reduced(images: Iterable[bytes]) -> Pixels:
    """Encoded images as RGB of SIDE x SIDE pixels, shape (n, SIDE, SIDE, 3)."""
    return np.stack([_reduced(encoded) for encoded in images])


def _reduced(encoded: bytes) -> Pixels:
    with Image.open(io.BytesIO(encoded)) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2)
    return np.asarray(small)


def _labels(parquet: Path) -> list[str]:
    tables = [pd.read_parquet(file, columns=["reward_model"]) for file in parquet_files(parquet / "train.parquet")]
    return [model["ground_truth"] for table in tables for model in table["reward_model"]]


def _images(parquet: Path, chosen: set[int]) -> Iterator[bytes]:
    """The encoded images of the training rows at the chosen positions."""
    position = 0
    for file in parquet_files(parquet / "train.parquet"):
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["images"]):
            for images in batch.column("images"):
                if position in chosen:
                    yield images.as_py()[0]["bytes"]
                position += 1


def _table(rows: pd.DataFrame, answers: Sequence[str]) -> pd.DataFrame:
    infos, truth = list(rows["extra_info"]), [model["ground_truth"] for model in rows["reward_model"]]
    return pd.DataFrame({
        "data_source": rows["data_source"],
        **pd.DataFrame(list(map(row_columns, infos)), index=rows.index),
        "prediction": list(map(str, answers)),
        "ground_truth": truth,
        "rejected": "",
        "acc": [float(answer == label) for answer, label in zip(answers, truth, strict=True)],
    })  # fmt: skip
