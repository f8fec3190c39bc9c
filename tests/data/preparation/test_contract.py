"""Rows that do not fit the policy, the prompt or the data set are refused in one line."""

import json
from dataclasses import replace

import pytest
from toy_data import compose_config

from vrft_aug.data.policy_files import write_settings
from vrft_aug.data.preparation.contract import check_classes, check_frame, check_rows, read_manifest
from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError

CONFIG = compose_config()
DATASET, POLICY, PROMPT = Dataset.of(CONFIG.dataset), Policy.of(CONFIG.policy), Prompt.of(CONFIG.prompt)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    out = tmp_path_factory.mktemp("rows")
    sizes = [f"dataset.loader.{split}=12" for split in ("train", "val", "test")]
    prepare(compose_config(f"out={out}", *sizes), None)
    return out


def test_rows_of_the_same_settings_pass(rows):
    check_rows(rows, POLICY, DATASET, PROMPT)
    check_frame(rows, replace(POLICY, name="its sister", max_response_length=9))


@pytest.mark.parametrize("changed", [{"min_pixels": 3136}, {"max_pixels": 262144}, {"patch": 16}, {"merge": 1},
                                     {"box_frame": "thousand"}], ids=str)  # fmt: skip
def test_another_frame_is_refused(rows, changed):
    key = next(iter(changed))
    with pytest.raises(InputError, match=rf"prepared for policy=tiny, .* frame \(policy.{key}: .* -> {changed[key]}\)"):
        check_rows(rows, replace(POLICY, **changed), DATASET, PROMPT)


@pytest.mark.parametrize("changed", [{"name": "knowledge", "knowledge": True}, {"class_order": "shuffled"},
                                     {"aliases": True}, {"task": "localization"}, {"form": "answer_only"},
                                     {"confidence": True}], ids=str)  # fmt: skip
def test_another_prompt_is_refused(rows, changed):
    with pytest.raises(InputError, match=r"another prompt \(prompt\..* choose prompt=names"):
        check_rows(rows, POLICY, DATASET, replace(PROMPT, **changed))


def test_rows_of_an_earlier_version_think_first_and_state_no_confidence(rows, tmp_path):
    manifest = read_manifest(rows)
    for key in ("form", "confidence"):
        del manifest["prompt"][key]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    check_rows(tmp_path, POLICY, DATASET, PROMPT)
    with pytest.raises(InputError, match=r"another prompt \(prompt.form: think_first -> answer_only\)"):
        check_rows(tmp_path, POLICY, DATASET, replace(PROMPT, form="answer_only"))


def test_another_data_set_is_refused(rows):
    with pytest.raises(InputError, match=r"rows are of dataset=phantom, but dataset=blood is chosen"):
        check_rows(rows, POLICY, replace(DATASET, name="blood"), PROMPT)
    other = replace(DATASET, classes=["a", "b"], knowledge=None)
    with pytest.raises(InputError, match=rf"rows have the classes {', '.join(DATASET.classes)}, but .* prepare again"):
        check_rows(rows, POLICY, other, PROMPT)


@pytest.mark.parametrize("name", ["phantom", "phantom_grade"])
def test_another_task_of_the_phantoms_is_refused(tmp_path, name):
    """Also where both tasks have the same classes and the same prompt, as two tasks of grading."""
    sizes = [f"dataset.loader.{split}=16" for split in ("train", "val", "test")]
    prepare(compose_config(f"dataset={name}", f"out={tmp_path}", *sizes), None)
    with pytest.raises(InputError) as told:
        check_rows(tmp_path, POLICY, Dataset.of(compose_config(f"dataset={name}", "task_seed=3").dataset), PROMPT)
    assert str(told.value) == (f"{tmp_path}: the rows are of task_seed=0, but task_seed=3 is chosen; "
                               "choose task_seed=0, or other rows with parquet=<folder>")


def test_a_prompt_that_is_too_long_now_is_refused(rows, tmp_path):
    manifest = read_manifest(rows) | {"prompt_tokens": {"limit": 704, "longest": 300}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    check_rows(tmp_path, replace(POLICY, max_prompt_length=300), DATASET, PROMPT)
    with pytest.raises(InputError, match=r"longest prompt has 300 tokens, but policy.max_prompt_length=299"):
        check_rows(tmp_path, replace(POLICY, max_prompt_length=299), DATASET, PROMPT)


def test_rows_without_a_manifest_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"manifest.json does not exist: .* recipes/prepare.py"):
        check_rows(tmp_path, POLICY, DATASET, PROMPT)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest.json: not JSON .* prepare again"):
        read_manifest(tmp_path)


def trained(folder, *trainings):
    write_settings(folder, CONFIG.policy, trainings)
    return str(folder)


def test_a_policy_may_be_tested_on_another_data_set_with_the_classes_that_it_learnt(tmp_path):
    learnt = {"dataset": "clinic", "task": "classification", "classes": DATASET.classes[::-1]}
    check_classes(trained(tmp_path, learnt), DATASET, "classification")
    check_classes(None, DATASET, "classification")


def test_other_classes_than_those_of_the_training_are_refused(tmp_path):
    learnt = {"dataset": "clinic", "task": "classification", "classes": ["mel", "nv"]}
    for trainings in ([learnt], [learnt | {"classes": DATASET.classes}, learnt]):
        with pytest.raises(InputError) as told:
            check_classes(trained(tmp_path, *trainings), DATASET, "classification")
        assert str(told.value) == (
            f"policy.path={tmp_path} was trained on dataset=clinic with the classes mel, nv, but dataset=phantom has "
            f"{', '.join(DATASET.classes)}; give conf/dataset/phantom.yaml the same classes and prepare again, or set "
            "other_classes=true to ask for classes that the policy has not learnt")


@pytest.mark.parametrize("training", [
    {"dataset": "clinic", "task": "localization", "classes": ["mel"]}, {"dataset": "clinic"},
    {"dataset": "clinic", "task": "grading", "classes": ["0", "1"]},
], ids=["boxes", "an earlier version", "another task"])  # fmt: skip
def test_a_training_that_taught_no_classes_of_this_task_says_nothing(tmp_path, training):
    check_classes(trained(tmp_path, training), DATASET, "classification")
    check_classes(trained(tmp_path, training), DATASET, "localization")
