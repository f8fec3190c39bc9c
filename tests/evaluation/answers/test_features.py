"""Tests the features of the tiny policy's own vision tower against transformers' own path, and what is learnt there."""

import io
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vrft_aug.data.phantoms.drawing import SIDE
from vrft_aug.evaluation.answers import features, linear
from vrft_aug.tiny.shipped import folder

CLASSES = ["dark", "bright"]


def drawn(label: str, seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    """Grey noise with a disc that is darker or brighter."""
    image = np.random.default_rng(seed).integers(100, 140, size[::-1], np.uint8)
    y, x = np.indices(size[::-1])
    inside = (x - size[0] / 2) ** 2 + (y - size[1] / 2) ** 2 < (min(size) / 4) ** 2
    image[inside] = 20 if label == "dark" else 230
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def pooled() -> features.Pooled:
    return features.pooling(features.Tower(folder(), "cpu", "float32"))


def test_features_are_the_mean_of_the_tokens_that_the_language_model_gets(pooled):
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    images = [drawn("dark", 0), drawn("bright", 1, (60, 90))]
    model = AutoModelForImageTextToText.from_pretrained(folder(), dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder())
    for encoded, found in zip(images, pooled(images), strict=True):
        inputs = processor.image_processor([Image.open(io.BytesIO(encoded)).convert("RGB")], return_tensors="pt")
        with torch.no_grad():
            (tokens,) = model.get_image_features(**inputs).pooler_output
        assert tokens.shape[0] > 4 and np.allclose(found, tokens.mean(0), atol=1e-4)


def test_a_batch_gives_what_single_images_give(pooled):
    images = [drawn(label, seed) for seed, label in enumerate(CLASSES * 2)]
    assert np.allclose(pooled(images), np.concatenate([pooled([one]) for one in images]), atol=1e-4)
    assert list(map(len, features._batches(images * 9))) == [16, 16, 4]


def test_logistic_regression_learns_from_them_in_a_process_of_their_own(tmp_path):
    names = CLASSES * 6
    infos = [{"task": "classification", "index": index, "source_id": str(index), "group_id": str(index),
              "classes": CLASSES} for index in range(len(names))]  # fmt: skip
    train, asked = (
        pd.DataFrame({"data_source": "toy", "extra_info": infos,
                      "images": [[{"bytes": drawn(name, start + at), "path": None}] for at, name in enumerate(names)],
                      "reward_model": [{"ground_truth": name} for name in names]})
        for start in (0, 100)
    )  # fmt: skip
    train.to_parquet(tmp_path / "train.parquet")
    read = partial(features.read, tower=features.Tower(folder(), "cpu", "float32"))
    found = linear.answer(tmp_path, asked, read, features.PENALTY)
    assert found["prediction"].tolist() == names
