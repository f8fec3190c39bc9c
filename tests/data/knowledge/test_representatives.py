"""A drafted class is shown by the images nearest to its mean, from the largest file there is."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy_data import dataset_yaml, toy_dataset, write_npz

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.knowledge import representatives as module
from vrft_aug.data.knowledge.representatives import at_largest_size, representatives, thumbnail
from vrft_aug.data.preparation.selection import read_index
from vrft_aug.data.settings import Dataset

GREYS = [10, 200, 90, 0, 100, 250, 110, 60]  # class a at even places: mean 77.5; class b at odd places: mean 127.5


def samples(greys=GREYS, opened=None):
    """One even image per grey value, with the classes in turns."""

    def image(place, grey):
        if opened is not None:
            opened.append(place)
        return np.full((20, 30), grey, np.uint8)

    return [Sample(lambda place=place, grey=grey: image(place, grey), place % 2, str(place), str(place))
            for place, grey in enumerate(greys)]


def chosen(count, opened=None, **options):
    rows = samples(opened=opened, **options)
    index = read_index(samples(**options), toy_dataset(), "label")
    return representatives(lambda split: rows, index, [0, 1], count, seed=0)


def test_the_images_nearest_to_the_mean_are_chosen():
    found = chosen(2)
    assert [GREYS[place] for place in found[0]] == [90, 100]
    assert [GREYS[place] for place in found[1]] == [60, 200]
    assert {label: len(places) for label, places in chosen(9).items()} == {0: 4, 1: 4}


def test_of_a_large_class_the_seed_draws_which_are_looked_at(monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 3)
    opened = []
    found = chosen(1, opened)
    assert len(opened) == len(set(opened)) == 6 and all(len(places) == 1 for places in found.values())
    assert {label: places.tolist() for label, places in chosen(1).items()} == {k: v.tolist() for k, v in found.items()}


def test_no_image_is_opened_for_none():
    opened = []
    assert not any(len(places) for places in chosen(0, opened).values()) and opened == []


def test_a_thumbnail_is_the_mean_grey_of_each_part():
    pixels = np.zeros((32, 64), np.uint8)
    pixels[:, 32:] = 200
    assert thumbnail(Image.fromarray(pixels)).tolist() == [[0.0] * 8 + [200.0] * 8] * 16


@pytest.mark.parametrize(("sizes", "largest"), [([], 28), ([28], 28), ([28, 64, 224], 224)])
def test_the_largest_medmnist_file_is_used(tmp_path, sizes, largest):
    dataset = Dataset.of(dataset_yaml("retina"))
    for size in sizes:
        write_npz(tmp_path, "retinamnist", {split: [0, 1] for split in ("train", "val", "test")}, size)
    assert at_largest_size(dataset, str(tmp_path)) == replace(dataset, loader=dataset.loader | {"size": largest})


def test_other_data_sets_keep_their_own_size(tmp_path):
    dataset = toy_dataset()
    assert at_largest_size(dataset, str(tmp_path)) is dataset
