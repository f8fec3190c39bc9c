"""Checks that a CSV may list several images per line, and that each mistake in such a line is one clear message."""

import numpy as np
import pytest
from toy_data import write_csv, write_image

from vrft_aug.data.datasets import folder
from vrft_aug.errors import InputError

OPTIONS = {"csv": "folder/images.csv", "classes": ["negative", "positive"], "test": 0, "val": 0, "seed": 0}
NAMES = ("a.png", "b.png", "c.png", "d.png")


@pytest.fixture
def root(tmp_path):
    for name in NAMES:
        write_image(tmp_path / "folder" / name, np.random.default_rng(0))
    return tmp_path


def samples(root, rows, **options):
    write_csv(root / "folder" / "images.csv", rows)
    return list(folder.load(root, "train", **OPTIONS, **options))


def names(sample):
    return [file.path.name for file in (sample.image, *sample.more)]


def test_columns_and_lists_give_the_images_in_their_order(root):
    rows = [{"image": "c.png", "image2": "a.png", "image3": "", "label": "positive"},
            {"image": "b.png", "image2": "d.png", "image3": "a.png", "label": "negative"}]  # fmt: skip
    found = samples(root, rows, images=3)
    assert [names(one) for one in found] == [["c.png", "a.png"], ["b.png", "d.png", "a.png"]]
    listed = samples(root, [{"image": "c.png|a.png", "label": "positive"}], images=2)
    assert names(listed[0]) == ["c.png", "a.png"] and listed[0].source_id == "c.png|a.png"


def test_boxes_know_their_image(root):
    row = {"image": "a.png", "image2": "b.png", "label": "positive", "x1": 1, "y1": 2, "x2": 30, "y2": 40}
    assert [one.box_image for one in samples(root, [row | {"box_image": which} for which in ("2",)], images=2)] == [1]
    assert samples(root, [row], images=2)[0].box_image == 0, "without a number: the first"
    lines = [("b.png", 5), ("a.png", 7), ("b.png", 1)]
    write_csv(root / "folder" / "boxes.csv",
              [{"image": name, "x1": 1, "y1": y, "x2": 9, "y2": 20} for name, y in lines])  # fmt: skip
    (one,) = samples(root, [row], images=2, boxes="folder/boxes.csv")
    assert one.placed_boxes() == [(0, (1, 7, 9, 20)), (1, (1, 1, 9, 20)), (1, (1, 5, 9, 20))]


@pytest.mark.parametrize(("change", "message"), [
    ({"image2": "", "image3": "b.png"}, "an image is left out before another"),
    ({"image2": "a.png"}, "'a.png' is there twice"),
    ({"image2": "none.png"}, "no such image 'none.png'"),
    ({"image": "a.png|b.png", "image2": "c.png", "image3": "d.png"}, "4 images, but the data set has dataset.images=3"),
    ({"image2": "../x.png"}, "leaves the folder"),
    ({"image2": "b.png", "box_image": "3"}, "box_image '3' is not the number of one of the 2 images"),
    ({"image2": "b.png", "box_image": "first"}, "box_image 'first' is not the number"),
])  # fmt: skip
def test_a_mistake_names_its_line(root, change, message):
    row = {"image": "a.png", "image2": "", "image3": "", "label": "positive", "box_image": ""} | change
    with pytest.raises(InputError, match=r"images\.csv line 2: ") as caught:
        samples(root, [row], images=3)
    assert message in str(caught.value)


def test_further_images_of_a_data_set_with_one_are_not_read_in_silence(root):
    with pytest.warns(UserWarning, match="not read: column image2"):
        (sample,) = samples(root, [{"image": "a.png", "image2": "b.png", "label": "positive"}])
    assert names(sample) == ["a.png"]
