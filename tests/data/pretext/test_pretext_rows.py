"""Rows of the pretexts: all images and no label, classes of their own, full marks for the truth, the same bytes."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_data import compose_config, dataset_yaml, pixels, write_csv, write_image

from vrft_aug.data.preparation.contract import check_classes, check_rows
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.pretext import PRETEXTS
from vrft_aug.data.rows.composer import scale_box
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score

SMALL = ("dataset.loader.train=60", "dataset.loader.val=13", "dataset.loader.test=13")
OBJECTIVE = {"restore": "mfrs", "find_sharp": "iou", "rotation": "accuracy", "jigsaw": "accuracy"}


def prepared(out, name, *overrides):
    """The manifest and the rows of each split."""
    manifest = prepare(compose_config(f"prompt={name}", f"out={out}", "shots=2", *SMALL, *overrides), None)
    return manifest, {split: pq.read_table(out / f"{split}.parquet").to_pylist() for split in ("train", "val", "test")}


@pytest.fixture(scope="module", params=PRETEXTS)
def made(request, tmp_path_factory):
    """A pretext's name, the folder of its rows, the manifest and the rows of each split."""
    out = tmp_path_factory.mktemp(request.param)
    return request.param, out, *prepared(out, request.param)


def decoded(row):
    return Image.open(io.BytesIO(row["images"][0]["bytes"]))


def right_answer(row, truth):
    info = row["extra_info"]
    if info["task"] == "localization":
        box = scale_box(json.loads(truth), info["image_size"], info["frame_size"])
        return f"<think>a look</think> <answer>{box}</answer>"
    return f"<think>a look</think> \\boxed{{{truth}}}"


def test_rows_have_every_image_a_question_of_their_own_and_no_label(made):
    name, _, manifest, splits = made
    pretext, dataset = PRETEXTS[name], Dataset.of(compose_config().dataset)
    assert manifest["labels"] == {"train": 0, "val": 0}, "two shots bound labels, and none is used"
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 60, "val": 13, "test": 13}
    assert manifest["splits"]["train"]["drawn"] == {"unlabelled": 60}
    for row in splits["train"]:
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        assert (row["data_source"], info["task"]) == (f"phantom-{name}", pretext.task)
        assert info["classes"] == [*pretext.classes] and info["knowledge"] == info["aliases"] == info["readers"] == []
        assert info["findings"] == "" and not any(word in info["prompt"] for word in dataset.classes)
        assert pretext.target in info["prompt"] and info["image_size"] == [*decoded(row).size]
        assert truth == (json.dumps(info["box"]) if info["box"] else pretext.classes[info["label"]])
        score = compute_score("", right_answer(row, truth), truth, info, OBJECTIVE[name])
        assert (score["score"], score["acc"]) == (1.0, 1.0)


def test_the_image_is_that_of_its_sample_altered_by_the_seed_and_the_id(made):
    name, _, _, splits = made
    samples = Dataset.of(compose_config(*SMALL).dataset).load("")("train")
    for row, sample in zip(splits["train"], samples, strict=True):
        original = Image.fromarray(pixels(sample)[..., 0])  # its channels are equal
        expected = PRETEXTS[name].make(original, generator(0, f"{name} {sample.source_id}"))
        assert np.array_equal(decoded(row), expected.image) and row["extra_info"]["label"] == expected.label


def test_the_same_config_gives_the_same_bytes_and_no_training_seed_changes_a_test_image(tmp_path):
    one, again, other = (prepared(tmp_path / folder, "restore", f"seed={seed}")
                         for folder, seed in (("one", 1), ("again", 1), ("other", 2)))  # fmt: skip
    assert one[0]["files"] == again[0]["files"]
    assert one[0]["files"]["test.parquet"] == other[0]["files"]["test.parquet"]
    assert one[0]["files"]["train.parquet"] != other[0]["files"]["train.parquet"]


def test_supervised_rows_teach_the_truth(made):
    _, out, _, splits = made
    for row, taught in zip(splits["train"], pq.read_table(out / "sft_train.parquet").to_pylist(), strict=True):
        truth, answer = row["reward_model"]["ground_truth"], taught["messages"][1]["content"]
        assert compute_score("", answer, truth, row["extra_info"], "iou")["score"] == 1.0


def write_list(root, labels):
    """A CSV of the toy data set, with an image per label; "" is unknown."""
    rng, rows = np.random.default_rng(0), []
    for i, label in enumerate(labels):
        write_image(root / "folder" / f"{i}.png", rng)
        rows.append({"image": f"{i}.png", "label": label, "split": ("train", "val", "test")[i % 3]})
    write_csv(root / "folder" / "images.csv", rows)


def of_list(root, out, prompt):
    config = compose_config("dataset=folder", f"data_root={root}", f"prompt={prompt}", f"out={out}")
    return prepare(config, None)


def test_images_without_a_label_serve_a_pretext_and_are_left_out_of_a_diagnosis(tmp_path, data_root):
    write_list(data_root, ["negative", "negative", "negative", "positive", "positive", "positive"] + [""] * 12)
    manifest = of_list(data_root, tmp_path / "restore", "restore")
    assert {split: one["rows"] for split, one in manifest["splits"].items()} == {"train": 6, "val": 6, "test": 6}
    manifest = of_list(data_root, tmp_path / "names", "names")
    assert manifest["labels"] == {"train": 2, "val": 2} and manifest["splits"]["train"]["drawn"]["positive"] == 1
    text = "train: 4 images without a label are left out; a pretext (prompt=restore) can use them"
    assert text in manifest["warnings"]


def test_a_list_without_a_label_is_refused_for_a_diagnosis_alone(tmp_path, data_root):
    write_list(data_root, [""] * 6)
    with pytest.raises(InputError, match="the train split has no image with a label"):
        of_list(data_root, tmp_path / "names", "names")
    assert of_list(data_root, tmp_path / "rotation", "rotation")["labels"] == {"train": 0, "val": 0}


def test_a_copy_in_another_split_is_found_although_both_are_altered(tmp_path, data_root):
    write_list(data_root, [""] * 6)
    folder = data_root / "folder"
    (folder / "2.png").write_bytes((folder / "0.png").read_bytes())
    assert of_list(data_root, tmp_path / "out", "rotation")["leakage"]["exact"] == 1


def test_an_image_that_is_too_small_is_named(tmp_path, data_root):
    write_list(data_root, [""] * 6)
    Image.new("L", (40, 7)).save(data_root / "folder" / "3.png")
    with pytest.raises(InputError, match=r"3.png: an image of 40 x 7 pixels is too small for prompt=jigsaw; leave"):
        of_list(data_root, tmp_path / "out", "jigsaw")


@pytest.mark.parametrize(("overrides", "message"), [
    (["prompt.pretext=colour"], "prompt.pretext=colour: must be one of null, restore, find_sharp, rotation, jigsaw"),
    (["prompt.knowledge=true"], "prompt.knowledge=true: it is about the classes of the data set, which"),
    (["prompt.aliases=true"], "prompt.pretext=rotation does not ask for; set prompt.aliases=false"),
    (["prompt.task=grading"], "prompt.task=grading: prompt.pretext=rotation is a task of classification; set"),
])  # fmt: skip
def test_a_pretext_that_cannot_be_is_refused(overrides, message):
    with pytest.raises(InputError) as told:
        Prompt.of(compose_config("prompt=rotation", *overrides).prompt)
    assert message in str(told.value)


def test_a_pretext_taught_none_of_the_classes_that_a_test_asks_for(tmp_path):
    trained = {"dataset": "clinic", "task": "classification", "classes": ["x", "y"], "prompt": "rotation"}
    dataset = Dataset.of(dataset_yaml("phantom"))
    for pretext, refused in (("rotation", False), (None, True)):
        (tmp_path / "vrft_aug.json").write_text(json.dumps({"trainings": [trained | {"pretext": pretext}]}))
        try:
            check_classes(str(tmp_path), dataset, "classification")
            assert not refused
        except InputError:
            assert refused


def test_rows_of_a_pretext_are_not_taken_for_those_of_a_diagnosis(tmp_path):
    prepared(tmp_path, "rotation")
    config = compose_config(*SMALL)
    with pytest.raises(InputError, match=r"the rows have another prompt \(.*prompt.pretext: rotation -> None"):
        check_rows(tmp_path, Policy.of(config.policy), Dataset.of(config.dataset), Prompt.of(config.prompt))
