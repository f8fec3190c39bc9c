"""Checks the phantoms with several images: one half alone leaves two of four diseases open, both decide."""

from collections import defaultdict

import numpy as np
import pytest
from toy_data import dataset_yaml, pixels

from vrft_aug.data.datasets import phantom_views
from vrft_aug.data.phantoms.findings import ALL, words
from vrft_aug.data.phantoms.views import draw_pairs, knowledge
from vrft_aug.errors import InputError

LOOK = {"contrast": [35, 90], "noise": [4, 12]}
FEW = {"task_seed": 0, "seed": 0, "train": 26, "val": 3, "test": 13} | LOOK


def load(split="train", images=2, **changes):
    return list(phantom_views.load(None, split, images=images, **(FEW | changes)))


@pytest.mark.parametrize("seed", range(8))
def test_each_half_leaves_two_diseases_open(seed):
    pairs = draw_pairs(seed)
    for half in (0, 1):
        diseases = defaultdict(set)
        for name, pair in pairs.items():
            diseases[pair[half]].add(name)
        assert sorted(map(len, diseases.values())) == [2, 2]
        first, second = diseases
        assert all(a != b for a, b in zip(first, second, strict=True)), "the two of a half differ in everything"
    assert len(set(pairs.values())) == 4 and len({finding for pair in pairs.values() for finding in pair}) == 4
    assert len(set(knowledge(seed).values())) == 4


@pytest.mark.parametrize("images", [2, 4])
def test_images_boxes_and_findings_are_those_of_the_disease(images):
    pairs = list(draw_pairs(0).values())
    numbers = {words(finding): finding.number + 1 for finding in ALL}
    for sample in load(images=images):
        assert len(sample.more) == images - 1
        boxes = [[at for at in sample.boxes_image if at // (images // 2) == half] for half in (0, 1)]
        assert [len(set(half)) for half in boxes] == [1, 1], "one image of each half shows lesions"
        found = sample.findings.split("; ")
        assert found == [words(finding) for finding in pairs[sample.label]]
        assert [len(half) for half in boxes] == [numbers[one] for one in found]
    assert {sample.label for sample in load(images=images)} == {0, 1, 2, 3}


def test_a_longer_split_begins_with_the_shorter_one_and_seeds_differ():
    short, long = load(train=13), load(train=26)
    for a, b in zip(short, long[:13], strict=True):
        assert np.array_equal(pixels(a), pixels(b)) and np.array_equal(a.more[0], b.more[0]) and a.label == b.label
    assert not np.array_equal(pixels(short[0]), pixels(load(seed=1)[0]))
    assert len({sample.source_id for split in ("train", "val", "test") for sample in load(split)}) == 42


@pytest.mark.parametrize(("changes", "message"), [
    ({"split": "all"}, "unknown split"), ({"images": 3}, "dataset.images=3"), ({"images": 0}, "dataset.images=0"),
    ({"task_seed": -1}, "task_seed=-1"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        load(**changes)


def test_the_yamls_agree_with_the_task():
    for name, images in (("phantom_views", 2), ("phantom_slices", 4)):
        dataset = dataset_yaml(name)
        assert (dataset["images"], dataset["loader"]["images"]) == (images, images)
        assert list(dataset["knowledge"]) == dataset["classes"] == list(draw_pairs(0))
