"""Tests the list of conditions: each changes what it says and keeps the rest; a seed gives the same rows again."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from repository import composed

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.evaluation.answers.conditions import CONDITIONS, DEGRADED, Asked
from vrft_aug.evaluation.answers.opponents import OPPONENTS
from vrft_aug.evaluation.answers.predict import read_rows
from vrft_aug.evaluation.beside import TITLES, VALIDATION, Beside

FEW = [f"dataset.loader.{split}=8" for split in ("train", "val", "test")]


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict:
    """Prepared phantoms with knowledge, and the config of an evaluation with all conditions."""
    folder = tmp_path_factory.mktemp("rows")
    prepare(composed("prepare", *FEW, "prompt=knowledge", "policy.max_prompt_length=null", f"out={folder}"), None)
    config = composed("evaluate", *FEW, "prompt=knowledge", "preset=journal", f"parquet={folder}")
    asked = Asked(Dataset.of(config.dataset), Prompt.of(config.prompt), 0)
    return {"rows": read_rows(folder, "test"), "config": config, "asked": asked}


def images(rows: pd.DataFrame) -> list[bytes]:
    return [images[0]["bytes"] for images in rows["images"]]


def contents(rows: pd.DataFrame) -> list[str]:
    return [prompt[0]["content"] for prompt in rows["prompt"]]


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_changes_images_or_prompts_and_nothing_else(name: str, settings: dict):
    rows, asked = settings["rows"], settings["asked"]
    found, again, other = (CONDITIONS[name].alter(rows, asked._replace(seed=seed)) for seed in (0, 0, 1))
    reads = name.endswith("knowledge")
    assert (images(found) == images(rows)) == reads and (contents(found) != contents(rows)) == reads
    assert images(again) == images(found) and contents(again) == contents(found)
    random = name.split("_")[0] in ("shuffled", "noise")
    assert (images(other) != images(found)) == random
    assert found["extra_info"].tolist() == rows["extra_info"].tolist()
    assert found["reward_model"].tolist() == rows["reward_model"].tolist()
    sizes = [Image.open(io.BytesIO(encoded)).size for encoded in images(found)]
    assert sizes == [tuple(info["image_size"]) for info in rows["extra_info"]]


def test_the_journals_preset_asks_for_everything(settings: dict):
    config, opponents = settings["config"], [name for name in OPPONENTS if name != "prior"]  # of questions alone
    assert list(config.conditions) == list(CONDITIONS) and list(config.opponents) == opponents
    found = Beside.of(config, settings["rows"])
    assert found.without == {} and set(found.names) == {*CONDITIONS, *opponents, VALIDATION} == set(TITLES) - {"prior"}
    assert len(DEGRADED) == 12


def test_what_a_prompt_without_knowledge_cannot_be_asked_is_left_out_with_a_reason(settings: dict):
    rows, config = settings["rows"], settings["config"].copy()
    config.prompt = composed("evaluate").prompt
    config.split, config.opponents = "val", []
    found = Beside.of(config, rows)
    assert set(CONDITIONS) - set(found.conditions) == {"wrong_knowledge", "no_knowledge"}
    assert found.without == {
        "wrong_knowledge": "the prompt has no knowledge", "no_knowledge": "the prompt has no knowledge",
        "validation": "the validation split itself is evaluated", "pixels": "it is not in opponents",
    }  # fmt: skip


def test_noise_belongs_to_the_image_and_not_to_its_place(settings: dict):
    rows, asked = settings["rows"], settings["asked"]
    turned = rows.iloc[::-1].reset_index(drop=True)
    straight, other = (images(CONDITIONS["noise_1"].alter(one, asked)) for one in (rows, turned))
    assert straight == other[::-1] and len(set(straight)) == len(rows)
    assert not np.array_equal(straight[0], images(rows)[0])
