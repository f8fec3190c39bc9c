"""Tests logistic regression: what it learns from pixels, what it is trained on, and where there is none."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vrft_aug.evaluation.answers import linear, pixels
from vrft_aug.evaluation.metrics.measure import measure

CLASSES = ["left", "right"]


def answered(folder: Path, asked: pd.DataFrame) -> pd.DataFrame:
    return linear.answer(folder, asked, pixels.read, pixels.PENALTY)


def drawn(label: str, seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """Noise with a bright half: a class that pixels tell apart."""
    image = np.random.default_rng(seed).integers(0, 120, (*size[::-1], 3), np.uint8)
    half = size[0] // 2
    image[:, slice(0, half) if label == "left" else slice(half, None)] += 100
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "PNG")
    return encoded.getvalue()


def rows(shown: list[str], truth: list[str], start: int = 0, task: str = "classification") -> pd.DataFrame:
    """Prepared rows whose images show one class and whose ground truth may be another."""
    names = [f"image_{start + position}" for position in range(len(truth))]
    infos = [{"task": task, "index": index, "source_id": name, "group_id": name, "classes": CLASSES}
             for index, name in enumerate(names)]  # fmt: skip
    images = [[{"bytes": drawn(label, start + position), "path": None}] for position, label in enumerate(shown)]
    return pd.DataFrame({"data_source": "toy", "images": images, "extra_info": infos,
                         "reward_model": [{"ground_truth": label} for label in truth]})  # fmt: skip


def written(folder: Path, train: pd.DataFrame) -> Path:
    train.to_parquet(folder / "train.parquet")
    return folder


def test_classes_that_pixels_tell_apart_are_learnt(tmp_path: Path):
    asked = rows(CLASSES * 20, CLASSES * 20, start=100)
    found = answered(written(tmp_path, rows(CLASSES * 10, CLASSES * 10)), asked)
    assert found["prediction"].to_list() == CLASSES * 20 and (found["acc"] == 1).all()
    (metrics,) = measure(found, resamples=10).values()
    assert (metrics["n"], metrics["accuracy"]["value"], metrics["parts"]) == (40, 1.0, {})


def test_shuffled_labels_teach_nothing(tmp_path: Path):
    """The labels of the images asked about too, so that the training cannot guess right or wrong as a whole."""
    labels, truth = (list(np.random.default_rng(seed).permutation(CLASSES * 100)) for seed in (0, 1))
    found = answered(written(tmp_path, rows(CLASSES * 100, labels)), rows(CLASSES * 100, truth, start=1000))
    (metrics,) = measure(found, resamples=10).values()
    assert metrics["accuracy"]["low"] < 0.5 < metrics["accuracy"]["high"]


def test_the_training_rows_may_be_in_shards_and_only_a_subset_is_used(tmp_path: Path, monkeypatch):
    table = rows(CLASSES * 10, CLASSES * 10)
    table[:9].to_parquet(tmp_path / "train-00000.parquet")
    table[9:].to_parquet(tmp_path / "train-00001.parquet")
    taken = list(linear.training_images(tmp_path, {0, 8, 9, 19}))
    assert taken == [[table["images"][position][0]["bytes"]] for position in (0, 8, 9, 19)]
    monkeypatch.setattr(linear, "MOST", 6)
    asked = rows(CLASSES * 5, CLASSES * 5, start=100)
    assert answered(tmp_path, asked)["acc"].mean() == 1


def test_a_subset_is_even_and_keeps_each_class_even_where_classes_take_turns():
    assert linear.even_subset(CLASSES * 3, 10).tolist() == list(range(6))
    labels = ["a", "b"] * 40 + ["c"] * 20
    chosen = linear.even_subset(labels, 50)
    assert len(chosen) == 50 and (np.diff(chosen) > 0).all()
    assert pd.Series(labels)[chosen].value_counts().to_dict() == {"a": 20, "b": 20, "c": 10}


def test_probabilities_are_in_the_order_of_each_prompt_and_0_for_a_class_without_training(tmp_path: Path):
    asked = rows(CLASSES * 2, CLASSES * 2, start=100)
    asked["extra_info"][1]["classes"] = ["none", "right", "left"]
    found = answered(written(tmp_path, rows(CLASSES * 10, CLASSES * 10)), asked)
    first, second = found["probabilities"][:2]
    assert [max(one) > 0.5 for one in (first[:1], second[1:2])] == [True, True]  # left, then right
    assert second[0] == 0 and sum(first) == pytest.approx(1) and sum(second) == pytest.approx(1)
    for shares, names, answer in zip(found["probabilities"], found["classes"], found["prediction"], strict=True):
        assert names[int(np.argmax(shares))] == answer


def test_obstacles(tmp_path: Path):
    asked = rows(CLASSES, CLASSES)
    assert linear.obstacle(tmp_path, "test", asked) == f"{tmp_path / 'train.parquet'} does not exist"
    written(tmp_path, rows(["left"] * 3, ["left"] * 3))
    assert linear.obstacle(tmp_path, "test", asked) == "the training rows hold fewer than two classes"
    written(tmp_path, rows(CLASSES, CLASSES))
    assert linear.obstacle(tmp_path, "test", asked) == ""
    assert linear.obstacle(tmp_path, "train", asked) == "it would answer the rows that it is trained on"
    boxes = rows(["left"], ["[0, 0, 1, 1]"], task="localization")
    assert linear.obstacle(tmp_path, "test", boxes) == "boxes are no classes"
