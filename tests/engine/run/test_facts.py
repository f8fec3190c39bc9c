"""What run.json says about the data that a policy was trained on."""

import json

from repository import composed
from toy_data import compose_config

from vrft_aug.data.policy_files import SETTINGS
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.engine.run import facts


def test_an_external_test_set_is_a_data_set_of_none_of_the_policys_trainings(tmp_path):
    trainings = [{"dataset": "clinic", "labels": {}}, {"dataset": "retina", "labels": {}}, {"dataset": "clinic"}]
    (tmp_path / SETTINGS).write_text(json.dumps({"trainings": trainings}))
    known = {"trained_on": ["clinic", "retina"]}
    assert facts.training_data_of_policy(str(tmp_path), "clinic") == known | {"external": False}
    assert facts.training_data_of_policy(str(tmp_path), "other_clinic") == known | {"external": True}


def test_of_a_policy_that_we_have_not_trained_nothing_is_known(tmp_path):
    (tmp_path / SETTINGS).write_text(json.dumps({"trainings": []}))
    for path in (None, str(tmp_path), "org/model"):
        assert facts.training_data_of_policy(path, "clinic") == {"trained_on": None, "external": None}


def test_the_variant_is_that_of_the_last_training_by_grpo(tmp_path):
    trainings = [{"recipe": "grpo", "variant": "gspo"}, {"recipe": "grpo", "variant": "dapo"}, {"recipe": "sft"}]
    for number, expected in ((3, "dapo"), (2, "dapo"), (1, "gspo"), (0, None)):
        (tmp_path / SETTINGS).write_text(json.dumps({"trainings": trainings[:number]}))
        assert facts.variant_of_policy(str(tmp_path)) == expected
    assert facts.variant_of_policy("org/model") is None


def test_what_was_frozen_is_of_the_last_training(tmp_path):
    trainings = [{"recipe": "sft", "freeze": "none"}, {"recipe": "grpo", "freeze": "vision"}, {"recipe": "sft"}]
    for number, expected in ((3, None), (2, "vision"), (1, None), (0, None)):
        (tmp_path / SETTINGS).write_text(json.dumps({"trainings": trainings[:number]}))
        assert facts.freeze_of_policy(str(tmp_path)) == expected


def test_task_and_classes_are_those_of_the_rows(tmp_path):
    few = [f"dataset.loader.{split}=16" for split in ("train", "val", "test")]
    prepare(compose_config("dataset=phantom_grade", f"out={tmp_path}", *few), None)
    config = composed("evaluate", "dataset=phantom_grade")
    found = facts.of_config(config, tmp_path)
    assert (found["task"], found["classes"]) == ("grading", list(config.dataset.classes))
    assert found["variant"] is found["freeze"] is found["warn"] is None
    frozen = composed("sft", "dataset=phantom_grade", "freeze=language")
    assert facts.of_config(frozen, tmp_path)["freeze"] == "language"
    grpo = composed("grpo", "dataset=phantom_grade", "variant=dapo", "+warn.top_prediction=[null,0.5]")
    found = facts.of_config(grpo, tmp_path)
    assert (found["variant"], found["warn"]) == ("dapo", {"top_prediction": [None, 0.5]})
