"""The typed settings: they are made from the config, and refuse missing keys and values that are not allowed."""

from dataclasses import replace

import pytest
from toy_data import DATASETS, compose_config, dataset_yaml, toy_dataset

from vrft_aug.data.rows.exports import EXPORTS
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt
from vrft_aug.errors import InputError


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_all_that_its_file_says(name):
    dataset = Dataset.of(compose_config(f"dataset={name}").dataset)
    for key in dataset_yaml(name).keys() - {"loader"}:
        assert getattr(dataset, key) == dataset_yaml(name)[key]
    assert not any("${" in str(value) for value in dataset.loader.values())


def test_a_missing_key_is_named():
    config = dataset_yaml("folder")
    del config["modality"]
    with pytest.raises(InputError, match=r"Dataset: missing.*'modality'"):
        Dataset.of(config)


@pytest.mark.parametrize(("changes", "message"), [
    ({"task": "segmentation"}, "dataset.task=segmentation: must be one of classification, grading, localization"),
    ({"classes": []}, "conf/dataset/toy.yaml: the classes must be different strings"),
    ({"classes": [0, 1]}, "the classes must be different strings"),
    ({"classes": ["a", "a"]}, "the classes must be different strings"),
    ({"task": "grading"}, "the classes of a grading task must be integers"),
    ({"aliases": {"c": ["see"]}}, "'c' has aliases but is not a class"),
])  # fmt: skip
def test_a_data_set_that_contradicts_itself(changes, message):
    with pytest.raises(InputError, match=message):
        toy_dataset(**changes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"shots": -1}, "shots=-1: must be a whole number or null"),
    ({"seed": None}, "seed=None: must be a whole number$"),
    ({"up_to": 2.5}, "up_to=2.5: must be a whole number"),
    ({"limit": {"train": "ten"}}, "limit.train=ten: must be a whole number or null"),
    ({"protocol": "papers"}, "protocol=papers: must be one of full, paper"),
])
def test_a_rule_that_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        replace(PreparationRule.of(compose_config()), **changes)


def test_prompts_and_policies():
    with pytest.raises(InputError, match=r"prompt.class_order=random: must be one of fixed, shuffled"):
        replace(Prompt.of(compose_config().prompt), class_order="random")
    policy = Policy.of(compose_config().policy)
    with pytest.raises(InputError, match=r"policy.box_frame=pixels: must be one of resized, thousand"):
        replace(policy, box_frame="pixels")
    with pytest.raises(InputError, match=r"the minimum must be above 0 and at most the maximum"):
        replace(policy, min_pixels=policy.max_pixels + 1)


@pytest.mark.parametrize("export", EXPORTS)
def test_every_export_may_be_chosen(export):
    assert PreparationRule.of(compose_config(f"export={export}")).export == export
