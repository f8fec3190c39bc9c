"""All boxes of an image: from the parts of a mask, from a list with one line per finding, and none."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toy_data import compose_config, write_csv, write_toy

from vrft_aug.data.datasets.image_files import mask_boxes
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.errors import InputError
from vrft_aug.rewards.answer_text import MOST_BOXES

LIST = ["dataset=folder", "prompt=localize_all", "dataset.loader.boxes=folder/boxes.csv"]


def mask(path, *parts, size=(60, 45)):
    """A mask with these parts, (x1, y1, x2, y2) each."""
    pixels = np.zeros(size[::-1], np.uint8)
    for x1, y1, x2, y2 in parts:
        pixels[y1:y2, x1:x2] = 255
    Image.fromarray(pixels).save(path)
    return path


def line(image, *box):
    return {"image": image} | dict(zip(("x1", "y1", "x2", "y2"), box or [""] * 4, strict=True))


def prepared(data_root, out, lines, *overrides):
    write_toy(data_root, "folder")
    write_csv(data_root / "folder" / "boxes.csv", lines)
    manifest = prepare(compose_config(*LIST, f"data_root={data_root}", f"out={out}", *overrides), None)
    rows = [row for split in ("train", "val", "test") for row in pq.read_table(out / f"{split}.parquet").to_pylist()]
    return manifest, {row["extra_info"]["source_id"]: json.loads(row["reward_model"]["ground_truth"]) for row in rows}


def test_a_mask_has_a_box_per_connected_part_without_specks(tmp_path):
    parts = [(30, 20, 50, 40), (2, 3, 12, 13), (12, 13, 16, 15)]  # the third touches the second at a corner
    path = mask(tmp_path / "mask.png", *parts, (58, 2, 60, 3))  # and 2 of 400 pixels are a speck
    assert mask_boxes(path) == [(2, 3, 16, 15), (30, 20, 50, 40)]
    assert Sample(path, 0, "1", "1", path).all_boxes() == [(2, 3, 16, 15), (30, 20, 50, 40)]
    assert Sample(path, 0, "1", "1", path).bounding_box() == (2, 2, 60, 40)


def test_a_mask_of_zeros_is_an_image_without_a_finding(tmp_path):
    path = mask(tmp_path / "mask.png")
    assert mask_boxes(path) == []
    with pytest.raises(InputError, match="empty mask"):
        Sample(path, 0, "1", "1", path).bounding_box()


def test_a_sample_knows_its_boxes_or_not():
    unknown, one = Sample("a", 0, "1", "1"), Sample("a", 0, "1", "1", (1, 2, 3, 4))
    healthy = unknown._replace(boxes=())
    assert [sample.all_boxes() for sample in (unknown, one, healthy)] == [[], [(1, 2, 3, 4)], []]
    assert [sample.is_boxed("boxes") for sample in (unknown, one, healthy)] == [False, True, True]
    assert [sample.is_boxed("box") for sample in (unknown, one, healthy)] == [False, True, False]


def test_a_list_has_one_line_per_finding(tmp_path, data_root):
    lines = [line("png/0.png", 30, 20, 50, 40), line("png/0.png", 1, 2, 9, 9), line("png/1.png", 5, 5, 8, 8),
             line("png/2.png")]  # fmt: skip
    manifest, truth = prepared(data_root, tmp_path / "out", lines)
    assert len(truth) == 40 and manifest["splits"]["train"]["without_box"] == 0
    assert truth["png/0.png"] == [[1, 2, 9, 9], [30, 20, 50, 40]] and truth["png/1.png"] == [[5, 5, 8, 8]]
    assert truth["png/2.png"] == truth["png/3.png"] == []


def test_without_the_list_the_one_box_is_all(tmp_path, data_root):
    _, truth = prepared(data_root, tmp_path / "out", [line("png/0.png")], "dataset.loader.boxes=null")
    assert truth["png/0.png"] == [[1, 2, 30, 40]]


@pytest.mark.parametrize("lines, message", [
    ([line("png/77.png", 1, 2, 3, 4)], r"boxes\.csv line 2: no image 'png/77\.png'"),
    ([line("png/1.png", 1, 2, 3, 4)] * 2, "is also in line 2"),
    ([line("png/1.png", 9, 2, 3, 4)], "does not fit 0 <= x1 < x2"),
    ([line("png/1.png", 1, 2, 900, 40)], r"png/1\.png: box .* does not fit the image of 60 x 45"),
    ([line("png/1.png", 1, 2, 3, 4 + i / 10) for i in range(MOST_BOXES + 1)], f"at most {MOST_BOXES}"),
])  # fmt: skip
def test_a_bad_list_is_refused_with_its_line(tmp_path, data_root, lines, message):
    with pytest.raises(InputError, match=message):
        prepared(data_root, tmp_path / "out", lines)


def test_images_without_a_label_serve_detection_alone(tmp_path, data_root):
    write_toy(data_root, "folder")
    path = data_root / "folder" / "images.csv"
    path.write_text(path.read_text().replace(",negative,1,2,30,40,", ",,,,,,"))
    write_csv(data_root / "folder" / "boxes.csv", [line("png/0.png", 1, 2, 9, 9)])
    common = [f"data_root={data_root}", f"out={tmp_path / 'out'}"]
    assert prepare(compose_config(*LIST, *common), None)["splits"]["train"]["rows"]
    with pytest.raises(InputError, match="class 'negative' has no training image"):
        prepare(compose_config(*LIST, *common, "prompt=names"), None)
