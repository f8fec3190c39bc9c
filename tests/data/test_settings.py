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
    ({"disease": ["c"]}, "disease=.'c'.: must be a list of some, not all, of the classes a, b"),
    ({"disease": ["a", "b"]}, "must be a list of some, not all, of the classes a, b"),
    ({"disease": "a"}, "disease=a: must be a list of some"),
    ({"disease": []}, "must be a list of some"),
    ({"classes": ["0", "1"], "disease": [1]}, "quote grades"),
    ({"disease": ["a"], "harm_of_referral": 0}, "harm_of_referral=0: must be a number above 0"),
    ({"harm_of_referral": 0.1}, "harm_of_referral=0.1: must be a number above 0, beside `disease`, or null"),
    ({"knowledge": {"a": "a bright spot"}}, "toy.yaml: dataset.knowledge describes a, but dataset.classes has a, b; "),
    ({"knowledge": {"b": "a bright spot", "a": "a dark spot"}}, "describes b, a, but dataset.classes has a, b; "),
])  # fmt: skip
def test_a_data_set_that_contradicts_itself(changes, message):
    with pytest.raises(InputError, match=message):
        toy_dataset(**changes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"shots": -3}, "shots=-3: must be a whole number, 1 or more, or null"),
    ({"shots": 0}, "shots=0: must be a whole number, 1 or more, or null"),
    ({"seed": None}, "seed=null: must be a whole number, 0 or more$"),
    ({"up_to": 2.5}, "up_to=2.5: must be a whole number, 1 or more"),
    ({"shard_mb": 0}, "shard_mb=0: must be a whole number, 1 or more"),
    ({"limit": {"train": "ten", "val": None, "test": None}}, "limit.train=ten: must be a whole number, 1 or more, or"),
    ({"limit": 5}, "limit=5: must be {train: <number or null>, val: .*; set limit.train=<number>"),
    ({"validation": {"per_class": 0, "total": None}}, "validation.per_class=0: must be a whole number, 1 or more, or"),
    ({"validation": None}, "validation=null: must be {per_class: <number or null>, total: <number or null>}"),
    ({"partial": "yes"}, "partial=yes: must be true or false"),
    ({"allow_unverified": 1}, "allow_unverified=1: must be true or false"),
    ({"check": None}, "check=null: must be true or false"),
    ({"out": None}, "out=null: must be the path of a folder"),
    ({"protocol": "papers"}, "protocol=papers: must be one of full, paper"),
])
def test_a_rule_that_cannot_be(changes, message):
    with pytest.raises(InputError, match=message):
        replace(PreparationRule.of(compose_config()), **changes)


def test_prompts_and_policies():
    with pytest.raises(InputError, match=r"prompt.class_order=random: must be one of fixed, shuffled"):
        replace(Prompt.of(compose_config().prompt), class_order="random")
    with pytest.raises(InputError, match=r"prompt.form=short: must be one of think_first, answer_only, answer_first"):
        replace(Prompt.of(compose_config().prompt), form="short")
    policy = Policy.of(compose_config().policy)
    with pytest.raises(InputError, match=r"policy.box_frame=pixels: must be one of resized, thousand"):
        replace(policy, box_frame="pixels")
    with pytest.raises(InputError, match=r"the minimum must be above 0 and at most the maximum"):
        replace(policy, min_pixels=policy.max_pixels + 1)


@pytest.mark.parametrize("export", EXPORTS)
def test_every_export_may_be_chosen(export):
    assert PreparationRule.of(compose_config(f"export={export}")).export == export
