"""The images of a training stay on disk: both data sets map the rows into memory, and read one when it is needed."""

import io
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from omegaconf import OmegaConf
from PIL import Image
from repository import composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from transformers import AutoProcessor
from verl.trainer.sft_trainer import create_sft_dataset
from verl.utils.dataset.rl_dataset import get_dataset_class

from vrft_aug.data.rows.parquet_files import ShardWriter
from vrft_aug.data.rows.schema import RL, SFT
from vrft_aug.tiny import model as tiny_policy
from vrft_aug.tiny import tokenizer as tiny_tokenizer

QUESTION = {"role": "user", "content": "<image>What is it?"}


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    """The tiny policy's processor."""
    folder = tmp_path_factory.mktemp("policy")
    tokenizer = tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus())
    tiny_policy.make_processor(tokenizer).save_pretrained(folder)
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def encoded() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def labelled(recipe: str, label: str, image: bytes) -> dict:
    images = ({"bytes": image, "path": None},)
    if recipe == "sft":
        messages = [QUESTION, {"role": "assistant", "content": rf"\boxed{{{label}}}"}]
        return {"messages": messages, "images": images, "data_source": "toy", "source_id": "1"}
    truth = {"style": "rule", "ground_truth": label}
    return {"data_source": "toy", "prompt": [QUESTION], "images": images, "ability": None, "reward_model": truth,
            "extra_info": None}  # fmt: skip


def write(folder: Path, name: str, schema, rows, shard_bytes: int = 1 << 30) -> list[str]:
    writer = ShardWriter(folder, name, schema, shard_bytes)
    for row in rows:
        writer.write(row)
    return [str(path) for path, _ in writer.close()]


def made(recipe: str, processor, files: list[str], **keys):
    keys = {"train_files": files, "val_files": [], "pad_mode": "no_padding"} | keys
    config = OmegaConf.create(dict(composed(recipe).data) | keys)
    return get_dataset_class(config)([*files], processor.tokenizer, config, processor)


def anonymous() -> int:
    """Bytes of this process that lie in no file."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells which memory lies in no file")
@pytest.mark.parametrize(("recipe", "schema"), [("grpo", RL), ("sft", SFT)])
def test_no_image_stays_in_memory(recipe, schema, processor, tmp_path):
    """200 MB of images in three shards."""
    rng = np.random.default_rng(0)
    rows = (labelled(recipe, str(i % 3), encoded() + rng.bytes(1 << 20)) for i in range(200))
    files = write(tmp_path, "train", schema, rows, shard_bytes=100 << 20)
    assert len(files) == 3
    pa.default_memory_pool().release_unused()
    before = anonymous()
    data = made(recipe, processor, files, balanced=True, cache_dir=str(tmp_path / "verl"))
    assert len(data) == 201 and data[0] and data[100] and data[200]
    pa.default_memory_pool().release_unused()
    assert anonymous() - before < 100e6


def test_a_limit_takes_some_rows_of_a_supervised_training(processor, tmp_path):
    """The first ones, or with `shuffle` some that the seed draws."""
    files = write(tmp_path, "val", SFT, [labelled("sft", label, encoded()) for label in "0123456789"])

    def told(**keys) -> str:
        keys |= {"train_files": [], "val_files": files, "pad_mode": "no_padding"}
        config = OmegaConf.create(dict(composed("sft").data) | keys)
        data = create_sft_dataset([*files], config, processor.tokenizer, processor, max_samples=4)
        return "".join(messages[-1]["content"][-2] for messages in data.messages)

    assert told() == "0123"
    assert told(shuffle=True, seed=1) == told(shuffle=True, seed=1) != told(shuffle=True, seed=2)
