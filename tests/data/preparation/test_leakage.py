"""Copies across splits: exact, recompressed and brighter ones are found; they are reported, refused or dropped."""

import io
import json

import imagehash
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance
from toy_data import compose_config, pixels, write_csv

from vrft_aug.data.datasets import medmnist
from vrft_aug.data.preparation import leakage
from vrft_aug.data.preparation.leakage import Fingerprint, difference_hashes, near_pairs
from vrft_aug.data.preparation.opening import open_all
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError


def smooth(rng):
    """A smooth random picture, (60, 60, 3)."""
    return np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((60, 60)))


def recompressed(picture):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream))


def brighter(picture):
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(picture)).enhance(1.1))


@pytest.fixture
def leaky(data_root):
    """30 images: test repeats train 0 exactly and train 1 as JPEG, val repeats train 2 brighter."""
    rng = np.random.default_rng(0)
    pictures = [smooth(rng) for _ in range(30)]
    pictures[20], pictures[21], pictures[25] = pictures[0], recompressed(pictures[1]), brighter(pictures[2])
    rows = []
    (data_root / "folder").mkdir(parents=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(data_root / "folder" / f"{i}.png")
        split = "train" if i < 20 else "test" if i < 25 else "val"
        rows.append({"image": f"{i}.png", "label": ("negative", "positive")[i % 2], "split": split})
    write_csv(data_root / "folder" / "images.csv", rows)
    return data_root


def config_of(root, out, action):
    return compose_config("dataset=folder", f"data_root={root}", f"out={out}", f"leakage={action}")


def test_warn_reports_the_pairs(tmp_path, leaky):
    report = prepare(config_of(leaky, tmp_path / "out", "warn"), None)["leakage"]
    assert (report["exact"], report["near"]) == (1, 2)
    assert {tuple(copy["pair"]) for copy in report["pairs"]} == {
        ("train: 0.png", "test: 20.png"), ("train: 1.png", "test: 21.png"), ("train: 2.png", "val: 25.png")}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["leakage"] == report


def test_refuse_names_the_first_pair(tmp_path, leaky):
    with pytest.raises(InputError, match=r"3 copies.*train: 2.png = val: 25.png.*leakage=warn or leakage=drop"):
        prepare(config_of(leaky, tmp_path / "out", "refuse"), None)
    assert not (tmp_path / "out").exists()


def test_drop_leaves_the_test_split_alone(tmp_path, leaky):
    manifest = prepare(config_of(leaky, tmp_path / "out", "drop"), None)
    ids = {split: [row["extra_info"]["source_id"] for row in pq.read_table(tmp_path / "out" / f"{split}.parquet")
                   .to_pylist()] for split in ("train", "val", "test")}
    assert ids["train"] == [f"{i}.png" for i in range(3, 20)]
    assert len(ids["val"]) == 5 and len(ids["test"]) == 5
    assert manifest["leakage"]["dropped"] == {"train": 3, "val": 0, "test": 0}
    assert manifest["splits"]["train"]["rows"] == 17


def test_an_unknown_action_is_refused(tmp_path, leaky):
    with pytest.raises(InputError, match="leakage=delete: must be one of warn, refuse, drop"):
        prepare(config_of(leaky, tmp_path / "out", "delete"), None)


def note(prints, picture):
    opened = open_all([picture])[0]
    prints.append(Fingerprint("", opened.exact, opened.near, len(prints)))


def test_different_fundus_images_are_no_copies_and_their_jpegs_are(shared_data):
    """RetinaMNIST at 28 px, where all images look alike: no false alarm in 1080 x 400 pairs; most JPEG copies found."""
    prints = {split: [] for split in ("train", "test", "jpeg")}
    for split in ("train", "test"):
        for sample in medmnist.load(shared_data, split, flag="retinamnist"):
            note(prints[split], sample.source())
            if split == "test":
                note(prints["jpeg"], recompressed(pixels(sample)))
    assert list(near_pairs(prints["train"], prints["test"])) == []
    found = {i for i, j, _ in near_pairs(prints["test"], prints["jpeg"]) if i == j}
    assert len(found) >= 0.9 * 400


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (16, 17), (5, 300), (300, 5), (224, 224), (100, 2000)])
@pytest.mark.parametrize("number", [1, 3, 4])
def test_hashes_are_those_of_the_library(size, number):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (*size, *((3,) if i % 2 else ())), np.uint8) for i in range(number)]  # grey and RGB
    images = [Image.fromarray(array) for array in arrays]
    assert np.array_equal(difference_hashes(images), [imagehash.dhash(image, 16).hash for image in images])


def test_images_of_several_sizes_get_the_librarys_hashes():
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (20, 20 + i), np.uint8)) for i in range(4)]
    assert np.array_equal(difference_hashes(images), [imagehash.dhash(image, 16).hash for image in images])


def fingerprints(hashes):
    return [Fingerprint(str(i), b"", row.tobytes(), i) for i, row in enumerate(hashes)]


@pytest.mark.parametrize("block", [3, 1000])
def test_the_pairs_found_are_those_of_comparing_all_with_all(monkeypatch, block):
    """Hashes near a few centres, so that some distances are below the limit of 10 bits and some above."""
    monkeypatch.setattr(leakage, "BLOCK", block)
    monkeypatch.setattr(leakage, "PAIRS", block)
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2, (5, 256))
    bits = [np.concatenate([centres ^ (rng.random((5, 256)) < share) for share in (0, 0.01, 0.02, 0.03)])
            for _ in range(2)]
    distance = (bits[0][:, None] != bits[1][None]).sum(axis=2)
    near = [(int(i), int(j), int(distance[i, j])) for i, j in np.argwhere(distance <= 10)]
    assert {bits for _, _, bits in near} >= {0, 9, 10} and (distance == 11).any()
    assert list(near_pairs(*(fingerprints(np.packbits(rows, axis=1)) for rows in bits))) == near


def test_bits_are_counted_across_block_borders(monkeypatch):
    monkeypatch.setattr(leakage, "BLOCK", 3)
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (10, 32), np.uint8)
    other = hashes.copy()
    other[:, 30] ^= 0b111  # three bits of the last word
    assert list(near_pairs(fingerprints(hashes), fingerprints(other))) == [(i, i, 3) for i in range(10)]
