"""Evaluation of rows with several images: what an answerer gets, conditions, opponents, and the report's pictures."""

import io
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from repository import composed

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.evaluation.answers import linear, pixels
from vrft_aug.evaluation.answers.conditions import CONDITIONS, Asked
from vrft_aug.evaluation.answers.predict import predict, read_rows
from vrft_aug.evaluation.report.page.thumbnails import thumbnails
from vrft_aug.rewards import compose

FEW = ["dataset=phantom_views", "prompt=knowledge", "dataset.loader.train=104", "dataset.loader.val=4",
       "dataset.loader.test=26", "policy.max_prompt_length=null"]  # fmt: skip
OBJECTIVE = compose("accuracy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("rows")
    prepare(composed("prepare", *FEW, f"out={out}"), None)
    return out


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return read_rows(folder, "test")


def altered(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    config = composed("prepare", *FEW)
    return CONDITIONS[name].alter(rows, Asked(Dataset.of(config.dataset), Prompt.of(config.prompt), 0))


def encoded(rows: pd.DataFrame) -> list[tuple[bytes, ...]]:
    return [tuple(image["bytes"] for image in shown) for shown in rows["images"]]


def test_an_answerer_gets_all_images_and_the_table_the_text(rows):
    asked = []

    def answer(prompts, images):
        asked.extend(zip(prompts, images, strict=True))
        return [[(f"<think>a</think> \\boxed{{{truth['ground_truth']}}}", 9)] for truth in rows["reward_model"]]

    found = predict(rows, OBJECTIVE, answer)
    assert [tuple(images) for _, images in asked] == encoded(rows)
    assert all(prompt.startswith("<image><image>These are") for prompt, _ in asked)
    assert found["acc"].mean() == 1 and all(text.startswith("These are") for text in found["prompt"])


def test_dealt_images_stay_together_and_fit_the_prompts_marks(rows):
    mixed = rows.assign(images=[shown[: 1 + number % 2] for number, shown in enumerate(rows["images"])])
    dealt = altered("shuffled", mixed)
    assert encoded(dealt) != encoded(mixed) and Counter(encoded(dealt)) == Counter(encoded(mixed))
    assert dealt["images"].map(len).tolist() == mixed["images"].map(len).tolist()


@pytest.mark.parametrize("name", ["blank", "blur_1", "noise_3", "jpeg_3", "downsample_2"])
def test_every_image_is_redrawn_in_its_place(rows, name):
    found = altered(name, rows)
    assert all(a != b for pair in zip(encoded(found), encoded(rows), strict=True) for a, b in zip(*pair, strict=True))
    assert encoded(altered(name, rows)) == encoded(found)
    if name == "noise_3":  # each image has noise of its own
        first, second = (np.asarray(Image.open(io.BytesIO(one))) for one in encoded(altered("noise_3", twins(rows)))[0])
        assert not np.array_equal(first, second)


def twins(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(images=[[shown[0], shown[0]] for shown in rows["images"]])


def test_other_knowledge_keeps_the_marks(rows):
    for name in ("wrong_knowledge", "no_knowledge"):
        texts = [prompt[0]["content"] for prompt in altered(name, rows)["prompt"]]
        assert all(text.startswith("<image><image>These are") and text.count("<image>") == 2 for text in texts)


def test_logistic_regression_sees_every_image(folder, rows):
    both = linear.answer(folder, rows, pixels.read, pixels.PENALTY)["acc"].mean()
    blind = rows.assign(images=[[shown[0], rows["images"].iloc[0][1]] for shown in rows["images"]])
    one = linear.answer(folder, blind, pixels.read, pixels.PENALTY)["acc"].mean()
    assert both > 0.7 > one, "with the same second image in each row, half of the classes are open"


def test_a_row_with_fewer_images_gets_zeros():
    def read(seen, asked):
        return tuple(np.array([[len(one), 1] for one in images]) for images in (seen, asked))

    seen, asked = linear.side_by_side(read, [[b"a", b"bb"], [b"ccc"]], [[b"dddd"]])
    assert seen.tolist() == [[1, 1, 2, 1], [3, 1, 0, 0]] and asked.tolist() == [[4, 1, 0, 0]]


def test_thumbnails_show_every_image(folder, rows):
    info = rows["extra_info"].iloc[3]
    found = thumbnails(folder / "test.parquet", {info["index"]: info["source_id"]})[info["index"]]
    assert (found["width"], found["height"], len(found["more"])) == (112, 112, 1)
    assert found["uri"] != found["more"][0]["uri"] and found["more"][0]["uri"].startswith("data:image/")
