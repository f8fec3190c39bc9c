"""Preparation of rows with several images: copies in any image, visual tokens, prompt lengths, the contract."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_data import compose_config, noise, write_csv

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.contract import check_rows
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.preparation.sample_images import apart, together
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError

SMALL = ("dataset.loader.train=13", "dataset.loader.val=8", "dataset.loader.test=8")
BOUNDS = ("policy.min_pixels=3136", "policy.max_pixels=50176")


def test_samples_are_taken_apart_and_put_together_in_order():
    samples = [Sample(np.zeros((at, at)), 0, str(at), "", more=[np.zeros((at, 9))] * (at % 3)) for at in range(1, 8)]
    flat = list(apart(iter(samples)))
    assert len(flat) == 7 + sum(at % 3 for at in range(1, 8))
    found = list(together((one, one.image.shape) for one in flat))
    assert [sample.source_id for sample, _ in found] == [sample.source_id for sample in samples]
    assert [shapes for _, shapes in found] == [[(at, at), *[(at, 9)] * (at % 3)] for at in range(1, 8)]


@pytest.fixture
def leaky(data_root):
    """Thirty pairs of images: the second image of train 3 is the first of test 22, and that of val 26 is test 23's."""
    rng, folder = np.random.default_rng(0), data_root / "folder"
    folder.mkdir(parents=True)
    rows = []
    for number in range(30):
        for view in "ab":
            Image.fromarray(noise(rng, 60, 60 if view == "a" else 120, 3)).save(folder / f"{number}{view}.png")
        split = "train" if number < 20 else "test" if number < 25 else "val"
        label = ("negative", "positive")[number % 2]
        rows.append({"image": f"{number}a.png", "image2": f"{number}b.png", "label": label, "split": split})
    for copy, original in (("3b", "22a"), ("26b", "23b")):
        (folder / f"{copy}.png").write_bytes((folder / f"{original}.png").read_bytes())
    write_csv(folder / "images.csv", rows)
    return data_root


def prepared(root, out, *overrides):
    return prepare(compose_config("dataset=folder", "dataset.images=2", f"data_root={root}", f"out={out}", *BOUNDS,
                                  *overrides), None)  # fmt: skip


@pytest.mark.parametrize("shown", ["null", "[1]"])
def test_a_copy_of_any_image_is_found_and_its_row_dropped(tmp_path, leaky, shown):
    """Also of an image that the prompt does not show: both prompts then have the same rows."""
    manifest = prepared(leaky, tmp_path / "out", "leakage=drop", f"prompt.shown={shown}")
    assert {tuple(copy["pair"]) for copy in manifest["leakage"]["pairs"]} == {
        ("train: 3a.png, image 2", "test: 22a.png, image 1"), ("val: 26a.png, image 2", "test: 23a.png, image 2")}
    assert manifest["leakage"]["dropped"] == {"train": 1, "val": 1, "test": 0}
    rows = {split: pq.read_table(tmp_path / "out" / f"{split}.parquet").to_pylist()
            for split in ("train", "val", "test")}  # fmt: skip
    names = {split: [row["extra_info"]["source_id"] for row in found] for split, found in rows.items()}
    assert names["train"] == [f"{number}a.png" for number in range(20) if number != 3]
    assert names["val"] == [f"{number}a.png" for number in (25, 27, 28, 29)] and len(names["test"]) == 5
    assert {len(row["images"]) for row in rows["train"]} == ({2} if shown == "null" else {1})


def test_the_manifest_says_tokens_per_image_and_images_per_prompt(tmp_path, leaky):
    manifest = prepared(leaky, tmp_path / "out")
    assert manifest["image_tokens"] == {"least": 4, "most": 8}  # 60 x 60: 56 x 56; 120 x 60: 112 x 56
    assert manifest["dataset"]["images"] == 2


def test_an_unreadable_second_image_is_one_line_with_its_place(tmp_path, leaky):
    (leaky / "folder" / "4b.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"images\.csv line 6: .*4b\.png: not a readable image"):
        prepared(leaky, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dataset", ["phantom_views", "phantom_slices"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, dataset):
    found = [prepare(compose_config(f"dataset={dataset}", f"out={tmp_path / name}", *SMALL), None)["files"]
             for name in "ab"]  # fmt: skip
    assert found[0] == found[1]


def test_rows_with_more_images_than_the_data_set_says_are_refused(tmp_path):
    config = compose_config("dataset=phantom_views", f"out={tmp_path}", *SMALL)
    prepare(config, None)
    parts = Policy.of(config.policy), Dataset.of(config.dataset), Prompt.of(config.prompt)
    check_rows(tmp_path, *parts)
    fewer = Dataset.of({**config.dataset, "images": 1})
    with pytest.raises(InputError, match=r"the rows have up to 2 images per prompt, but dataset\.images=1"):
        check_rows(tmp_path, parts[0], fewer, parts[2])


@pytest.mark.parametrize("views", ["[]", "[frontal view,lateral view]"])
def test_the_budget_counts_what_the_processor_counts(tmp_path, views):
    from transformers import AutoProcessor

    from vrft_aug.data.preparation.prompt_budget import PromptBudget
    from vrft_aug.data.prompts.rendering import chat_parts
    from vrft_aug.tiny.shipped import FOLDER

    config = compose_config("dataset=phantom_views", f"dataset.views={views}", f"out={tmp_path}", *SMALL)
    prepare(config, None)
    row = pq.read_table(tmp_path / "train.parquet").to_pylist()[0]
    content, processor = row["prompt"][0]["content"], AutoProcessor.from_pretrained(FOLDER)
    chat = processor.apply_chat_template([{"role": "user", "content": chat_parts(content)}],
                                         add_generation_prompt=True, tokenize=False)  # fmt: skip
    images = [Image.open(io.BytesIO(image["bytes"])).convert("RGB") for image in row["images"]]
    budget = PromptBudget(str(FOLDER), Policy.of(config.policy), 704)
    budget.add(content, *(image.size for image in images))
    assert budget.longest == len(processor(text=[chat], images=images)["input_ids"][0])
