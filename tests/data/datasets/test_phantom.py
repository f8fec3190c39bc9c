"""The phantoms as a data set: they are reproducible, disjoint and unbalanced as stated, and fit their config."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from toy_data import dataset_yaml, pixels

from vrft_aug.data.datasets import phantom
from vrft_aug.data.phantoms import drawing, tasks
from vrft_aug.data.phantoms.findings import ALL, words
from vrft_aug.errors import InputError

COUNTS = {"train": 130, "val": 26, "test": 26}
NAMES = {"findings": "phantom", "number": "phantom_grade", "extent": "phantom_extent"}


def load(split="train", task="findings", **changes):
    options = {"task": task, "task_seed": 0, "diseases": 4 if task == "findings" else None, "seed": 0, **COUNTS}
    options |= {"contrast": [12, 40], "noise": [6, 14]}
    return phantom.load(None, split, **options | changes)


def images(**changes):
    return [pixels(sample).tobytes() for sample in load(**changes)]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_same_arguments_same_pixels(task):
    for one, two in zip(load(task=task), load(task=task), strict=True):
        assert (one.label, one.box, one.source_id) == (two.label, two.box, two.source_id)
        assert np.array_equal(pixels(one), pixels(two))


@pytest.mark.parametrize("task", tasks.TASKS)
def test_a_longer_split_begins_with_the_shorter_one(task):
    for one, two in zip(load(task=task, train=20), islice(load(task=task, train=500), 20), strict=True):
        assert (one.label, one.box, one.source_id) == (two.label, two.box, two.source_id)
        assert np.array_equal(pixels(one), pixels(two))


def test_no_image_is_in_two_splits_tasks_or_seeds():
    streams = [{"split": split, "task": task, "seed": seed, "task_seed": task_seed}
               for split in COUNTS for task in tasks.TASKS for seed in (0, 1) for task_seed in (0, 1)]
    found = [image for stream in streams for image in images(**stream, train=13, val=13, test=13)]
    assert len(set(found)) == len(found)
    names = [sample.source_id for stream in streams for sample in load(**stream, train=13, val=13, test=13)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("size", [56, 100, 112])
def test_images_are_grey_uint8_of_the_size_asked(size):
    image = pixels(next(iter(load(size=size))))
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert np.array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("diseases", [2, 4, 11])
def test_the_first_class_has_four_images_where_each_other_has_three(diseases):
    block = 4 + 3 * (diseases - 1)
    labels = [sample.label for sample in load(diseases=diseases, train=3 * block)]
    for start in range(0, 3 * block, block):
        assert Counter(labels[start : start + block]) == {0: 4} | dict.fromkeys(range(1, diseases), 3)


def test_the_labels_have_no_pattern():
    labels = [sample.label for sample in load()]
    assert labels[:13] != labels[13:26] and labels != [sample.label for sample in load(seed=1)]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_only_grade_zero_has_no_box(task):
    samples = list(load(task=task))
    assert {sample.label for sample in samples} == set(range(4 if task == "findings" else 5))
    assert all((sample.box is None) == (task != "findings" and sample.label == 0) for sample in samples)


def test_an_image_is_as_bright_or_dark_as_its_label_says():
    """By the description of its class, inside the box and outside."""
    for task_seed in range(4):
        texts = list(tasks.knowledge("findings", task_seed, 4).values())
        for sample in load(task_seed=task_seed, train=39, contrast=[35, 90], noise=[0, 0]):
            x1, y1, x2, y2 = map(int, sample.box)
            grey = pixels(sample)[..., 0].astype(float)
            inside, outside = grey[y1:y2, x1:x2], np.concatenate([grey[:y1].ravel(), grey[y2:].ravel()])
            if "bright" in texts[sample.label]:
                assert inside.max() - np.median(outside) > np.median(outside) - inside.min()
            elif "dark" in texts[sample.label]:
                assert inside.max() - np.median(outside) < np.median(outside) - inside.min()


def test_the_findings_say_all_that_is_drawn_even_where_the_class_is_partial():
    complete = {words(finding): finding for finding in ALL}
    for task_seed in range(4):
        diseases = list(tasks.draw_diseases(task_seed, 4).values())
        for sample in load(task_seed=task_seed, train=39, contrast=[35, 90], noise=[0, 0]):
            finding = complete[sample.findings]
            assert [finding.matches(one) for one in diseases] == [label == sample.label for label in range(4)]
            x1, y1, x2, y2 = sample.box
            away = np.hypot(*(drawing.CENTRES - ((x1 + x2) / 2, (y1 + y2) / 2)).T)
            assert finding.place == away.argmin()


@pytest.mark.parametrize("task", ["number", "extent"])
def test_the_findings_of_a_grade_are_its_description(task):
    texts = list(tasks.knowledge(task, 0, None).values())
    assert [sample.findings for sample in load(task=task)] == [texts[sample.label] for sample in load(task=task)]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_the_config_says_what_the_loader_draws(task):
    dataset = dataset_yaml(NAMES[task])
    assert dataset["loader"]["task"] == task and dataset["loader"]["task_seed"] == 0
    assert dataset["knowledge"] == tasks.knowledge(task, 0, dataset["loader"]["diseases"])
    assert dataset["classes"] == list(dataset["knowledge"])


@pytest.mark.parametrize("changes, message", [
    ({"task": "segmentation", "diseases": None}, "task=segmentation: must be one of"),
    ({"split": "dev"}, "unknown split 'dev'; use one of train, val, test"),
    ({"size": 55}, "size 55 is too small for a lesion; use 56 or more"),
    ({"diseases": 12}, "diseases=12: must be a whole number, 2 to 11"),
    ({"task": "extent", "diseases": 4}, "task=extent has the grades 0, 1, 2, 3, 4; use null"),
    ({"shares": {"train": [20, 1]}}, r"shares=.*; give for a split .* of each of the 4 classes"),
    ({"shares": {"dev": [1, 1, 1, 1]}}, r"shares=.*; give for a split \(train, val or test\)"),
    ({"shares": {"train": [0, 0, 0, 0]}}, "shares=.*; give for a split"),
    ({"shares": {"train": [1, 1, 1, -1]}}, "shares=.*; give for a split"),
    ({"reader_error": 0.4}, "reader_error=0.4; give a probability from 0 to 1, of a task with grades"),
    ({"reader_error": 1.5, "task": "number", "diseases": None}, "reader_error=1.5; give a probability"),
])  # fmt: skip
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        list(load(**changes))


@pytest.mark.parametrize(("change", "line"), [
    ({"contrast": [40, 12]}, r"phantom: contrast=\[40, 12\]; give the lowest and the highest"),
    ({"noise": [1]}, r"phantom: noise=\[1\]; give the lowest and the highest"),
    ({"contrast": [0, 300]}, r"contrast=\[0, 300\]; give the lowest and the highest, in grey levels"),
])  # fmt: skip
def test_a_wrong_range_is_refused(change, line):
    with pytest.raises(InputError, match=line):
        next(iter(load(**change)))


def test_more_contrast_is_easier_to_see():
    """The box's mean differs more from the rest of the image."""
    def difference(sample):
        grey, (left, top, right, bottom) = pixels(sample)[:, :, 0].astype(float), map(int, sample.box)
        return np.abs(grey[top:bottom, left:right] - np.median(grey)).max()

    faint, strong = ([difference(one) for one in load(contrast=c, noise=[0, 0])] for c in ([12, 40], [80, 90]))
    assert np.mean(strong) > 1.5 * np.mean(faint)


def test_shares_make_classes_rare_in_the_split_that_they_name():
    shares = {"train": [20, 20, 1, 1]}
    assert Counter(sample.label for sample in load(shares=shares, train=84)) == {0: 40, 1: 40, 2: 2, 3: 2}
    usual = [sample.label for sample in load("test")]
    assert [sample.label for sample in load("test", shares=shares)] == usual


def test_the_rare_task_has_the_images_that_its_config_says():
    options = dataset_yaml("phantom_rare")["loader"]
    del options["_target_"]
    counts = {split: Counter(sample.label for sample in phantom.load(None, split, **options)) for split in COUNTS}
    assert counts["train"] == {0: 480, 1: 480, 2: 24, 3: 24} and counts["test"] == {0: 128, 1: 96, 2: 96, 3: 96}


def test_readers_err_to_a_neighbour_as_often_as_they_are_told_and_change_no_image():
    plain = list(load(task="number", train=390))
    read = list(load(task="number", train=390, reader_error=0.4))
    assert list(load(task="number", train=20, reader_error=0.4))[3].readers == read[3].readers
    gaps = [int(grade) - truth.label for truth, sample in zip(plain, read, strict=True)
            for grade in sample.readers.values()]  # fmt: skip
    assert set(gaps) == {-1, 0, 1} and np.mean(np.abs(gaps)) == pytest.approx(0.4, abs=0.05)
    for truth, sample in zip(plain[:20], read[:20], strict=True):
        assert np.array_equal(pixels(truth), pixels(sample)) and truth.readers == {}
        first, second = map(int, sample.readers.values())
        assert sample.label == (first + second + 1) // 2


def test_the_labels_of_test_are_what_was_drawn():
    plain, read = list(load("test", "number")), list(load("test", "number", reader_error=1))
    assert [sample.label for sample in read] == [sample.label for sample in plain]
    assert all(abs(int(grade) - sample.label) == 1 for sample in read for grade in sample.readers.values())
    assert all(sample.readers == {"A": str(sample.label), "B": str(sample.label)}
               for sample in load("test", "number", reader_error=0))  # fmt: skip
