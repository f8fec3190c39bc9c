"""What a preparation says about its rows: labels used, visual tokens, conversions, missing classes, mistakes."""

import json

import numpy as np
import pytest
from PIL import Image
from toy_data import compose_config, noise, write_csv, write_image, write_toy

from vrft_aug.data.preparation.manifest import summary
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError

SMALL = ("dataset.loader.train=52", "dataset.loader.val=26", "dataset.loader.test=26")


def prepared(out, *overrides, find_policy=None):
    return prepare(compose_config(f"out={out}", *overrides), find_policy)


def test_labels_are_counted_in_train_and_val(tmp_path):
    manifest = prepared(tmp_path / "out", "dataset=phantom", "shots=3", *SMALL)
    assert manifest["labels"] == {"train": 12, "val": 12}
    assert manifest["rule"]["validation"] == {"per_class": 3, "total": 256}
    assert "labels used: 12 train + 12 val" in summary(manifest, "out").splitlines()


def test_the_visual_tokens_are_those_of_the_smallest_and_the_largest_image(tmp_path, data_root):
    write_toy(data_root, "folder")
    write_image(data_root / "folder" / "png" / "3.png", np.random.default_rng(0), 300, 41)
    bounds = ("policy.min_pixels=3136", "policy.max_pixels=50176")
    manifest = prepared(tmp_path / "out", "dataset=folder", f"data_root={data_root}", *bounds)
    assert manifest["image_tokens"] == {"least": 4, "most": 11}  # 60 x 45: 56 x 56; 300 x 41: 308 x 28
    assert "visual tokens per image: 4 to 11" in summary(manifest, "out").splitlines()
    manifest = prepared(tmp_path / "out", "dataset=phantom", *SMALL)
    assert manifest["image_tokens"] == {"least": 16, "most": 16}


def test_equal_conversions_become_one_warning_with_their_number(tmp_path, data_root):
    write_toy(data_root, "folder")
    rng = np.random.default_rng(0)
    for name in ("3", "8"):  # the loader knows a file by its content, not by its name
        Image.fromarray(noise(rng, 45, 60, 4), "CMYK").save(data_root / "folder" / "png" / f"{name}.png", "JPEG")
    manifest = prepared(tmp_path / "out", "dataset=folder", f"data_root={data_root}")
    assert "2 images: CMYK, converted to RGB" in manifest["warnings"]
    assert "warning: 2 images: CMYK, converted to RGB" in summary(manifest, "out").splitlines()


def test_the_manifest_warns_of_a_class_that_the_test_lacks(tmp_path, data_root):
    write_toy(data_root, "folder")
    manifest = prepared(tmp_path / "out", "dataset=folder", f"data_root={data_root}", "limit.test=1")
    missing = min(manifest["splits"]["test"]["drawn"].items(), key=lambda item: item[1])[0]
    assert f"test has no image of '{missing}': balanced accuracy is the mean over the other classes" in (
        manifest["warnings"])
    assert not [text for text in manifest["warnings"] if text.startswith("val has no")]


def torn(data_root, numbers):
    write_toy(data_root, "folder")
    for number in numbers:
        (data_root / "folder" / "png" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")


@pytest.mark.parametrize("check", ["true", "false"])
def test_all_unreadable_images_are_named_at_once_with_their_lines(tmp_path, data_root, check):
    torn(data_root, (3, 17))
    with pytest.raises(InputError) as told:
        prepared(tmp_path / "out", "dataset=folder", f"data_root={data_root}", f"check={check}")
    assert str(told.value).startswith("2 mistakes: ")
    for number in (3, 17):
        file = f"{data_root}/folder/png/{number}.png"
        assert f"images.csv line {number + 2}: {file}: not a readable image" in str(told.value)
    assert str(told.value).count("fetch the file again") == 1  # one remedy for both
    assert not (tmp_path / "out").exists()


def test_the_tenth_mistake_is_the_last_that_is_looked_for(tmp_path, data_root):
    torn(data_root, range(20))
    with pytest.raises(InputError) as told:
        prepared(tmp_path / "out", "dataset=folder", f"data_root={data_root}")
    assert str(told.value).startswith("the first 10 mistakes: ")
    assert str(told.value).count("not a readable image") == 10


def test_boxes_that_do_not_fit_are_mistakes_too(tmp_path, data_root):
    write_toy(data_root, "folder")
    rows = [{"image": f"png/{i}.png", "label": "positive", "x1": 1, "y1": 2, "x2": 70 if i in (4, 9) else 30, "y2": 40}
            for i in range(40)]
    write_csv(data_root / "folder" / "images.csv", rows)
    torn_one = data_root / "folder" / "png" / "20.png"
    torn_one.write_bytes(b"no image")
    with pytest.raises(InputError, match="3 mistakes: ") as told:
        prepared(tmp_path / "out", "dataset=folder", "prompt=localize", f"data_root={data_root}", "check=true")
    for line in (6, 11):
        assert f"images.csv line {line}: png/{line - 2}.png: box [1.0, 2.0, 70.0, 40.0] does not fit" in str(told.value)
    assert str(told.value).count("images.csv line") == 3


def test_a_check_finds_what_a_preparation_finds_and_writes_nothing(tmp_path, data_root):
    write_toy(data_root, "folder")
    settings = ("dataset=folder", f"data_root={data_root}", "export=trl", "leakage=drop", "shots=5")
    wrote = prepared(tmp_path / "out", *settings)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    looked = prepared(tmp_path / "out", *settings, "check=true")
    assert looked == wrote | {"files": {}}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    prepared(tmp_path / "other", *settings, "check=true")
    assert not (tmp_path / "other").exists()
    assert summary(looked, "out").splitlines()[-1] == "check=true: nothing was written"


@pytest.mark.parametrize("mistake", ["shots=-3", "data_root=nowhere", "shots=1000", "prompt=knowledge"])
def test_the_policy_is_asked_for_only_after_the_settings_and_the_tables(tmp_path, data_root, mistake):
    write_toy(data_root, "folder")

    def find_policy():
        raise AssertionError("the policy was built before the input was checked")

    settings = ("dataset=folder", f"data_root={data_root}", "policy.max_prompt_length=700")
    with pytest.raises(InputError):
        prepared(tmp_path / "out", *settings, mistake, find_policy=find_policy)
    with pytest.raises(AssertionError):
        prepared(tmp_path / "out", *settings, find_policy=find_policy)


def test_the_manifest_on_disk_is_the_one_that_is_returned(tmp_path):
    manifest = prepared(tmp_path / "out", "dataset=phantom", "prompt=localize", *SMALL)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    assert manifest["labels"] == {split: manifest["splits"][split]["rows"] for split in ("train", "val")}
