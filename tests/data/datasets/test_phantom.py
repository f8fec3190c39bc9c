"""Phantoms: they are reproducible, disjoint and unbalanced as stated; labels and boxes fit the pixels."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from toy_data import pixels

from vrft_aug.data.datasets import phantom
from vrft_aug.errors import InputError

COUNTS = {"train": 130, "val": 26, "test": 26}


def load(split="train", task="classification", seed=0, **changes):
    return phantom.load(None, split, **{"task": task, "seed": seed, **COUNTS, **changes})


@pytest.fixture(scope="module", params=phantom.CLASSES)
def samples(request):
    return request.param, list(load(task=request.param))


def test_same_arguments_same_pixels():
    for one, two in zip(load(), load(), strict=True):
        assert (one.label, one.box, one.source_id) == (two.label, two.box, two.source_id)
        assert np.array_equal(pixels(one), pixels(two))


def test_longer_split_begins_with_the_shorter_one():
    for one, two in zip(load(train=5), islice(load(train=500), 5), strict=True):
        assert np.array_equal(pixels(one), pixels(two))


def test_no_image_is_in_two_splits_seeds_or_tasks():
    streams = [load(split, task, seed) for split in COUNTS for task in phantom.CLASSES for seed in (0, 1)]
    images = [pixels(sample).tobytes() for stream in streams for sample in stream]
    assert len(set(images)) == len(images)


def test_images_are_grey_uint8_of_the_size_asked():
    for size in (28, 56, 100):
        image = pixels(next(iter(load(size=size))))
        assert image.shape == (size, size, 3) and image.dtype == np.uint8
        assert np.array_equal(image[..., 0], image[..., 2])


def test_a_majority_class_exists(samples):
    counts = Counter(sample.label for sample in samples[1])
    assert counts == {0: 40, 1: 30, 2: 30, 3: 30}


def test_labels_of_a_split_have_no_pattern():
    labels = [sample.label for sample in load()]
    assert labels[:13] != labels[13:26] and labels != [sample.label for sample in load(seed=1)]


def test_no_lesion_no_box(samples):
    assert all((sample.box is None) == (sample.label == 0) for sample in samples[1])


def test_box_lies_inside_and_is_brighter_than_its_surroundings(samples):
    lesions = [sample for sample in samples[1] if sample.box]
    brighter = 0
    for sample in lesions:
        x1, y1, x2, y2 = map(int, sample.box)
        assert 0 <= x1 < x2 <= 56 and 0 <= y1 < y2 <= 56
        grey = pixels(sample)[..., 0].astype(float)
        outside = np.ones_like(grey, dtype=bool)
        outside[y1:y2, x1:x2] = False
        brighter += np.percentile(grey[y1:y2, x1:x2], 95) > np.percentile(grey[outside], 95)
    assert brighter > 0.9 * len(lesions)


@pytest.mark.parametrize("task", phantom.CLASSES)
def test_box_is_tight(task):
    """Without the background, the lesions' own pixels touch all four sides of the box."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lesions = phantom._nodules(rng, 3, 56) if task == "grading" else phantom._lesion(rng, "streak", 56)
        x1, y1, x2, y2 = map(int, phantom._tight_box(lesions))
        covered = np.max(lesions, axis=0) >= 0.5
        inside = covered[y1:y2, x1:x2]
        assert inside.sum() == covered.sum()
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_grade_is_the_number_of_separate_nodules():
    for number in range(4):
        for seed in range(20):
            lesions = phantom._nodules(np.random.default_rng(seed), number, 56)
            assert len(lesions) == number
            assert np.sum([lesion > 0 for lesion in lesions], axis=0).max(initial=0) <= 1


def test_shapes_differ_in_the_dark_centre():
    rng = np.random.default_rng(0)
    for shape, hollow in (("nodule", False), ("ring", True)):
        (lesion,) = phantom._lesion(rng, shape, 56)
        x1, y1, x2, y2 = phantom._tight_box([lesion])
        assert (lesion[int(y1 + y2) // 2, int(x1 + x2) // 2] == 0) == hollow


@pytest.mark.parametrize("arguments, word", [
    ({"task": "segmentation"}, "segmentation"), ({"split": "dev"}, "dev"), ({"size": 8}, "8"),
])  # fmt: skip
def test_bad_input_is_named(arguments, word):
    with pytest.raises(InputError, match=word):
        list(load(**arguments))
