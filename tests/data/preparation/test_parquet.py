"""The written rows: verl, Hugging Face datasets, EasyR1 and TRL read them, and their types fit."""

import hashlib
import io
from dataclasses import replace
from typing import get_type_hints

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from PIL import Image
from toy_data import compose_config, dataset_yaml, pixels, write_toy

from vrft_aug.data.datasets import medmnist, phantom
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.rows.parquet_files import ShardWriter
from vrft_aug.data.rows.schema import RL, SFT, EncodedImage, Message, Row, SftRow, Truth, rl_schema
from vrft_aug.data.settings import Policy
from vrft_aug.rewards.adapters import easyr1 as easyr1_rewards
from vrft_aug.rewards.row import ExtraInfo


def names(kind):
    return {field.name for field in kind}


@pytest.mark.parametrize(("row", "kind"), [
    (Row, RL), (SftRow, SFT), (ExtraInfo, rl_schema(True).field("extra_info").type),
    (Truth, RL.field("reward_model").type),
    (Message, RL.field("prompt").type.value_type), (EncodedImage, RL.field("images").type.value_type),
])  # fmt: skip
def test_a_rows_python_type_has_the_keys_of_its_arrow_type(row, kind):
    assert set(get_type_hints(row)) == names(kind)


def prepared(root, out, *overrides):
    return prepare(compose_config(f"data_root={root}", f"out={out}", *overrides), None)


@pytest.fixture(scope="module")
def retina(tmp_path_factory, shared_data):
    """Real fundus images, 10 shots, with both exports."""
    out = tmp_path_factory.mktemp("retina")
    for export in ("easyr1", "trl"):
        prepared(shared_data, out / export, "dataset=retina", "prompt=knowledge", "shots=10", f"export={export}")
    return out


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    """The tiny policy's processor, with the real chat template and image processor."""
    from vrft_aug.tiny.model import make_processor
    from vrft_aug.tiny.tokenizer import read_corpus, train_tokenizer

    folder = tmp_path_factory.mktemp("processor")
    make_processor(train_tokenizer(read_corpus())).save_pretrained(folder)
    from transformers import AutoProcessor

    return folder, AutoProcessor.from_pretrained(folder)


def test_every_decoded_image_equals_the_source_bit_for_bit(retina, shared_data):
    with np.load(shared_data / "medmnist" / "retinamnist.npz") as arrays:
        for split in ("train", "val", "test"):
            for row in pq.read_table(retina / "trl" / f"{split}.parquet").to_pylist():
                i = int(row["extra_info"]["source_id"].rsplit("/", 1)[1])
                image = np.asarray(Image.open(io.BytesIO(row["images"][0]["bytes"])))
                assert np.array_equal(image, arrays[f"{split}_images"][i])
                assert row["extra_info"]["label"] == arrays[f"{split}_labels"][i, 0]


@pytest.mark.parametrize("export", ["easyr1", "trl"])
def test_rows_and_exports_have_the_findings_where_they_are_known(tmp_path, retina, export):
    counts = [f"dataset.loader.{split}={number}" for split, number in (("train", 26), ("val", 13), ("test", 13))]
    prepared(tmp_path, tmp_path / "out", "dataset=phantom", "prompt=names", f"export={export}", *counts)
    drawn = {split: [sample.findings for sample in phantom_samples(split)] for split in ("val", "test")}
    for split, findings in drawn.items():
        for name in (split, f"{export}_{split}"):
            rows = pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist()
            assert [row["extra_info"]["findings"] for row in rows] == findings
    fundus = pq.read_table(retina / export / f"{export}_test.parquet").to_pylist()
    assert {row["extra_info"]["findings"] for row in fundus} == {""}


def phantom_samples(split):
    loader = dataset_yaml("phantom")["loader"] | {"train": 26, "val": 13, "test": 13}
    return phantom.load(None, split, **{key: value for key, value in loader.items() if key != "_target_"})


def test_datasets_reads_an_image_feature(retina, shared_data):
    table = datasets.load_dataset("parquet", data_files=str(retina / "trl" / "test.parquet"), split="train")
    assert table.features["images"] == datasets.List(datasets.Image())
    assert len(table) == 400
    first = next(iter(medmnist.load(shared_data, "test", flag="retinamnist")))
    assert np.array_equal(np.asarray(table[0]["images"][0]), pixels(first))


def test_verl_reads_the_rows(retina, processor):
    from verl.utils.dataset.rl_dataset import RLHFDataset

    config = OmegaConf.create({"max_prompt_length": 704, "filter_overlong_prompts": True,
                               "filter_overlong_prompts_workers": 1})
    rows = RLHFDataset([str(retina / "trl" / "train.parquet")], processor[1].tokenizer, config, processor[1])
    assert len(rows) == 50  # none filtered
    row = rows[0]
    assert [part["type"] for part in row["raw_prompt"][0]["content"]] == ["image", "text"]
    assert row["raw_prompt"][0]["content"][0]["image"].size == (28, 28)
    assert row["reward_model"]["ground_truth"] in row["extra_info"]["classes"]


def test_verl_reads_the_supervised_rows(retina, processor):
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    config = OmegaConf.create({"max_length": 768, "pad_mode": "no_padding"})
    rows = MultiTurnSFTDataset([str(retina / "trl" / "sft_train.parquet")], processor[1].tokenizer, config,
                               processor[1])
    row = rows[0]
    learned = processor[1].tokenizer.decode(row["input_ids"][row["loss_mask"].bool()])
    table = pq.read_table(retina / "trl" / "train.parquet").to_pylist()
    assert f"\\boxed{{{table[0]['reward_model']['ground_truth']}}}" in learned
    assert learned.startswith("<think>") and "image" not in learned.split("</think>")[1]


def test_prompt_budget_counts_what_verl_counts(retina, processor):
    """The tokens that PromptBudget predicts are those of the real processor."""
    from vrft_aug.data.preparation.prompt_budget import PromptBudget

    folder, real = processor
    sizes = real.image_processor.size
    policy = replace(Policy.of(compose_config().policy), patch=14, merge=2, min_pixels=sizes["shortest_edge"],
                     max_pixels=sizes["longest_edge"])
    row = pq.read_table(retina / "trl" / "train.parquet").to_pylist()[0]
    content = [{"type": "image"}, {"type": "text", "text": row["extra_info"]["prompt"]}]
    chat = real.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    tokens = real(text=[chat], images=[Image.open(io.BytesIO(row["images"][0]["bytes"])).convert("RGB")])["input_ids"]
    budget = PromptBudget(str(folder), policy, 700)
    budget.add(row["prompt"][0]["content"], tuple(row["extra_info"]["image_size"]))
    assert budget.longest == len(tokens[0])
    assert budget.check() == {"limit": 700, "longest": len(tokens[0])}


def test_too_long_prompts_are_found_with_their_number(tmp_path, processor):
    from vrft_aug.errors import InputError

    config = compose_config("dataset=phantom", "prompt=knowledge", "dataset.loader.train=26", "dataset.loader.val=13",
                            "dataset.loader.test=13", f"out={tmp_path / 'out'}", "policy.max_prompt_length=50")
    with pytest.raises(InputError, match=r"52 of 52 prompts exceed policy.max_prompt_length=50"):
        prepare(config, lambda: str(processor[0]))
    assert not (tmp_path / "out").exists()


def test_exports_carry_the_same_rows(retina):
    rows = pq.read_table(retina / "trl" / "train.parquet").to_pylist()
    easyr1 = pq.read_table(retina / "easyr1" / "easyr1_train.parquet").to_pylist()
    trl = pq.read_table(retina / "trl" / "trl_train.parquet").to_pylist()
    for row, easy, other in zip(rows, easyr1, trl, strict=True):
        assert easy["problem"] == row["prompt"][0]["content"] and easy["problem"].count("<image>") == 1
        truth = row["reward_model"]["ground_truth"]
        assert other["solution"] == truth
        answered = {"response": f"<think>So it is.</think> \\boxed{{{truth}}}", "ground_truth": easy["answer"]}
        assert easyr1_rewards.compute_score(answered)["overall"] == pytest.approx(1.0)
        assert easy["images"] == other["images"] == row["images"]


def test_trl_inserts_the_image(retina, processor):
    from trl.data_utils import prepare_multimodal_messages

    path = str(retina / "trl" / "trl_train.parquet")
    row = datasets.load_dataset("parquet", data_files=path, split="train")[0]
    messages = prepare_multimodal_messages(row["prompt"], images=row["images"])
    assert [part["type"] for part in messages[0]["content"]] == ["image", "text"]
    assert processor[1].apply_chat_template(messages, tokenize=False).count("<|image_pad|>") == 1


def test_same_seed_same_bytes_other_seed_other_draw(tmp_path, shared_data):
    manifests = [prepared(shared_data, tmp_path / str(i), "dataset=retina", "shots=10", f"seed={seed}")
                 for i, seed in enumerate((0, 0, 1))]
    files = [manifest["files"] for manifest in manifests]
    assert files[0] == files[1]
    assert files[0]["train.parquet"]["sha256"] != files[2]["train.parquet"]["sha256"]
    assert files[0]["test.parquet"] == files[2]["test.parquet"]
    assert (tmp_path / "0" / "manifest.json").read_bytes() == (tmp_path / "1" / "manifest.json").read_bytes()


def test_large_files_become_shards(tmp_path):
    rng = np.random.default_rng(0)
    writer = ShardWriter(tmp_path, "train", pa.schema([RL.field("images")]), shard_bytes=2_000_000)
    for _ in range(1500):
        writer.write({"images": [{"bytes": rng.bytes(2000), "path": None}]})
    shards = writer.close()
    assert [path.name for path, _ in shards] == ["train-00000.parquet", "train-00001.parquet"]
    assert [rows for _, rows in shards] == [512, 988]  # a row group that would exceed the size begins the next shard
    assert sum(pq.ParquetFile(path).metadata.num_rows for path, _ in shards) == 1500
    for name, facts in writer.files.items():
        content = (tmp_path / name).read_bytes()
        assert (facts["bytes"], facts["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_run_replaces_the_files_of_the_last(tmp_path, data_root):
    write_toy(data_root, "folder")
    prepared(data_root, tmp_path / "out", "dataset=folder", "export=trl")
    (tmp_path / "out" / "mine.txt").write_text("kept")
    prepared(data_root, tmp_path / "out", "dataset=folder")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"train.parquet", "val.parquet", "test.parquet", "sft_train.parquet", "sft_val.parquet",
                     "manifest.json", "mine.txt"}


def test_jpeg_files_keep_their_bytes(tmp_path, shared_data):
    prepared(shared_data, tmp_path / "out", "dataset=ham10000", "prompt=localize")
    for row in pq.read_table(tmp_path / "out" / "test.parquet").to_pylist():
        path = shared_data / "ham10000" / "images" / f"{row['extra_info']['source_id']}.jpg"
        assert row["images"][0]["bytes"] == path.read_bytes()
        assert row["extra_info"]["image_size"] == [600, 450]


def test_supervised_boxes_are_in_the_policys_frame(tmp_path, shared_data):
    prepared(shared_data, tmp_path / "out", "dataset=ham10000", "prompt=localize", "prompt.form=answer_only")
    taught, rows = (pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist() for name in ("sft_train", "train"))
    for row, other in zip(rows, taught, strict=True):
        info, answer = row["extra_info"], other["messages"][1]["content"]
        assert other["source_id"] == info["source_id"] and other["messages"][0] == row["prompt"][0]
        (width, height), (frame_width, frame_height) = info["image_size"], info["frame_size"]
        assert frame_width % 28 == frame_height % 28 == 0
        x1, y1, x2, y2 = info["box"]
        scaled = [round(x1 * frame_width / width), round(y1 * frame_height / height),
                  round(x2 * frame_width / width), round(y2 * frame_height / height)]
        assert answer == f"<answer>{scaled}</answer>"
