"""One image has one size in every stage: preparation, verl's two data sets, vLLM, the exported policy."""

import asyncio
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from repository import composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from transformers import AutoProcessor
from verl.trainer.sft_trainer import create_sft_dataset
from verl.utils.dataset.rl_dataset import get_dataset_class

from vrft_aug.data.policy_files import write_bounds
from vrft_aug.data.rows.frame import resized
from vrft_aug.data.rows.parquet_files import ShardWriter
from vrft_aug.data.rows.schema import RL, SFT
from vrft_aug.data.settings import Policy
from vrft_aug.engine.verl.datasets import balanced_order
from vrft_aug.tiny import model as tiny_policy
from vrft_aug.tiny import tokenizer as tiny_tokenizer

BOUNDS = [(3136, 50176), (262144, 1003520)]
# A MedMNIST image, a dermatoscopic one, large radiographs; the last two differ between one resize and two.
SIZES = [(28, 28), (600, 450), (2500, 2048), (1686, 1270), (2209, 2493)]
MESSAGE = {"role": "user", "content": "<image>What is it?"}


def encoded(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)).save(stream, "PNG")
    return stream.getvalue()


IMAGES = [encoded(size) for size in SIZES]


@pytest.fixture(scope="module", params=BOUNDS, ids=str)
def bounds(request):
    return request.param


@pytest.fixture(scope="module")
def folder(bounds, tmp_path_factory) -> Path:
    """A policy's folder with real processor files and no weights."""
    folder = tmp_path_factory.mktemp("policy")
    processor = tiny_policy.make_processor(tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus()))
    processor.save_pretrained(folder)
    tiny_policy.make_model(processor.tokenizer, 0).config.save_pretrained(folder)
    write_bounds(folder, *bounds)
    return folder


@pytest.fixture(scope="module")
def expected(bounds) -> list[tuple[int, int]]:
    """Rows and columns of patches, as preparation computes them."""
    policy = Policy.of(composed("prepare").policy)
    policy = replace(policy, min_pixels=bounds[0], max_pixels=bounds[1])
    return [(height // 14, width // 14) for width, height in (resized(size, policy) for size in SIZES)]


def grids(tensors) -> list[tuple[int, int]]:
    return [tuple(grid[-2:]) for tensor in tensors for grid in tensor.tolist()]


def write(folder: Path, name: str, schema, rows: list[dict]) -> str:
    writer = ShardWriter(folder, name, schema, 1 << 30)
    for row in rows:
        writer.write(row)
    return str(writer.close()[0][0])


def test_transformers_on_the_exported_policy(folder, expected):
    processor = AutoProcessor.from_pretrained(folder)
    images = [Image.open(io.BytesIO(image)) for image in IMAGES]
    assert grids([processor.image_processor(images, return_tensors="pt")["image_grid_thw"]]) == expected


def test_rare_answers_are_repeated_until_all_are_equally_frequent():
    assert balanced_order(["a", "a", "b", "a", "a", "a", "c", "b"]) == [0, 1, 2, 2, 2, 3, 4, 5, 6, 6, 6, 6, 6, 7, 7]
    assert balanced_order(["a", "b"]) == [0, 1]


@pytest.mark.parametrize("balanced", [False, True])
def test_only_training_rows_are_balanced(balanced, folder, tmp_path):
    processor = AutoProcessor.from_pretrained(folder)
    image = ({"bytes": IMAGES[0], "path": None},)
    for recipe, schema in (("grpo", RL), ("sft", SFT)):
        rows = [_labelled(recipe, label, image) for label in "0001"]
        train, val = (write(tmp_path, f"{recipe}_{split}", schema, rows) for split in ("train", "val"))
        keys = {"train_files": [train], "val_files": [val], "balanced": balanced, "pad_mode": "no_padding",
                "cache_dir": str(tmp_path)}  # fmt: skip
        config = OmegaConf.create(dict(composed(recipe).data) | keys)
        kind = get_dataset_class(config)
        sizes = [len(kind([file], processor.tokenizer, config, processor)) for file in (train, val)]
        assert sizes == [6 if balanced else 4, 4]


@pytest.mark.parametrize(("recipe", "schema"), [("grpo", RL), ("sft", SFT)])
def test_equal_answers_to_two_questions_are_balanced_apart(recipe, schema, folder, tmp_path):
    """Three rows of grade 0 and one of no quarter turn."""
    processor = AutoProcessor.from_pretrained(folder)
    row = _labelled(recipe, "0", ({"bytes": IMAGES[0], "path": None},))
    file = write(tmp_path, "train", schema, [row, row, row, row | {"data_source": "toy-rotation"}])
    keys = {"train_files": [file], "val_files": [], "balanced": True, "pad_mode": "no_padding",
            "cache_dir": str(tmp_path)}  # fmt: skip
    config = OmegaConf.create(dict(composed(recipe).data) | keys)
    data = get_dataset_class(config)([file], processor.tokenizer, config, processor)
    assert sorted(data.dataframe["data_source"]) == ["toy"] * 3 + ["toy-rotation"] * 3


def test_the_seed_orders_the_rows_of_a_supervised_training(folder, tmp_path):
    processor = AutoProcessor.from_pretrained(folder)
    rows = [_labelled("sft", label, ({"bytes": IMAGES[0], "path": None},)) for label in "0123456789"]
    train, val = (write(tmp_path, split, SFT, rows) for split in ("train", "val"))

    def told(data) -> list[str]:
        return [messages[-1]["content"] for messages in data.messages]

    def order(file: str, seed: int) -> list[str]:
        keys = {"train_files": [train], "val_files": [val], "seed": seed, "pad_mode": "no_padding"}
        config = OmegaConf.create(dict(composed("sft").data) | keys)
        data = get_dataset_class(config)([file], processor.tokenizer, config, processor)
        assert [messages[-1]["content"] for messages in data.dataframe["messages"]] == told(data)
        return told(data)

    first, again, other = order(train, 0), order(train, 0), order(train, 1)
    assert first == again != other and sorted(first) == sorted(other) == order(val, 0) == order(val, 1)


def test_resumed_rows_are_balanced_too(folder, tmp_path):
    processor = AutoProcessor.from_pretrained(folder)
    rows = [_labelled("grpo", label, ({"bytes": IMAGES[0], "path": None},)) for label in "0001"]
    file = write(tmp_path, "train", RL, rows)
    keys = {"train_files": [file], "val_files": [], "balanced": True, "cache_dir": str(tmp_path)}
    config = OmegaConf.create(dict(composed("grpo").data) | keys)
    data = get_dataset_class(config)([file], processor.tokenizer, config, processor)
    data.resume_dataset_state()
    truths = [row["ground_truth"] for row in data.dataframe["reward_model"]]
    assert truths.count("0") == truths.count("1") == 3


def _labelled(recipe: str, label: str, images: tuple) -> dict:
    if recipe == "sft":
        messages = [MESSAGE, {"role": "assistant", "content": rf"\boxed{{{label}}}"}]
        return {"messages": messages, "images": images, "data_source": "toy", "source_id": "1"}
    truth = {"style": "rule", "ground_truth": label}
    return {"data_source": "toy", "prompt": [MESSAGE], "images": images, "ability": None, "reward_model": truth,
            "extra_info": None}  # fmt: skip


def test_verls_data_set_for_grpo(folder, expected, tmp_path):
    rows = [{"data_source": "toy", "prompt": [MESSAGE], "images": ({"bytes": image, "path": None},), "ability": None,
             "reward_model": None, "extra_info": None} for image in IMAGES]  # fmt: skip
    config = OmegaConf.create(dict(composed("grpo").data) | {"cache_dir": str(tmp_path)})
    kind, processor = get_dataset_class(config), AutoProcessor.from_pretrained(folder)
    file = write(tmp_path, "train", RL, rows)
    data = kind([file], processor.tokenizer, config, processor)
    media = [asyncio.run(kind.process_multi_modal_info(data[i]["raw_prompt"], 14, config)) for i in range(len(rows))]
    kwargs = dict(config.get("mm_processor_kwargs") or {})
    assert grids(processor.image_processor(images, return_tensors="pt", **kwargs)["image_grid_thw"]
                 for images, _, _ in media) == expected  # fmt: skip


def test_verls_data_set_for_sft(folder, expected, tmp_path):
    messages = [MESSAGE, {"role": "assistant", "content": r"\boxed{ring}"}]
    rows = [{"messages": messages, "images": ({"bytes": image, "path": None},), "data_source": "toy", "source_id": "1"}
            for image in IMAGES]  # fmt: skip
    processor = AutoProcessor.from_pretrained(folder)
    config = OmegaConf.create(dict(composed("sft").data) | {"max_length": 4096, "pad_mode": "no_padding"})
    data = create_sft_dataset([write(tmp_path, "train", SFT, rows)], config, processor.tokenizer, processor)
    found = [data[i] for i in range(len(rows))]
    assert grids(row["multi_modal_inputs"]["image_grid_thw"] for row in found) == expected
    pads = [(row["input_ids"] == processor.image_token_id).sum().item() for row in found]
    assert pads == [rows * columns // 4 for rows, columns in expected]


@pytest.mark.parametrize("number", [2, 4])
def test_verls_data_sets_give_every_image_of_a_row(folder, expected, tmp_path, number):
    """In SFT as tensors and tokens, in GRPO as the parts of the message, in their order."""
    content = "<image>" * number + "What is it?"
    images = tuple({"bytes": image, "path": None} for image in IMAGES[:number])
    asked, answered = {"role": "user", "content": content}, {"role": "assistant", "content": r"\boxed{ring}"}
    processor = AutoProcessor.from_pretrained(folder)
    row = {"messages": [asked, answered], "images": images, "data_source": "toy", "source_id": "1"}
    config = OmegaConf.create(dict(composed("sft").data) | {"max_length": 8192, "pad_mode": "no_padding"})
    (taught,) = create_sft_dataset([write(tmp_path, "sft", SFT, [row])], config, processor.tokenizer, processor)
    assert grids([taught["multi_modal_inputs"]["image_grid_thw"]]) == expected[:number]
    pads = (taught["input_ids"] == processor.image_token_id).sum().item()
    assert pads == sum(rows * columns // 4 for rows, columns in expected[:number])
    row = {"data_source": "toy", "prompt": [asked], "images": images, "ability": None, "reward_model": None,
           "extra_info": None}  # fmt: skip
    config = OmegaConf.create(dict(composed("grpo").data) | {"cache_dir": str(tmp_path)})
    kind = get_dataset_class(config)
    (read,) = kind([write(tmp_path, "rl", RL, [row])], processor.tokenizer, config, processor)
    found, _, _ = asyncio.run(kind.process_multi_modal_info(read["raw_prompt"], 14, config))
    assert [image.size for image in found] == SIZES[:number]


def test_vllms_processor(folder, expected, monkeypatch):
    for name, value in composed("evaluate").hardware.env.items():
        monkeypatch.setenv(name, os.environ.get(name, str(value)))
    pytest.importorskip("vllm")
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    info = MULTIMODAL_REGISTRY.create_processor(ModelConfig(model=str(folder), max_model_len=768)).info
    processor = info.get_image_processor()
    found = [info.get_num_image_tokens(image_width=width, image_height=height, image_processor=processor, mm_kwargs={})
             for width, height in SIZES]  # fmt: skip
    assert found == [rows * columns // 4 for rows, columns in expected]
