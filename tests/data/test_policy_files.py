"""What a policy's folder says about itself: pixel bounds in its processor files, lengths and trainings beside them."""

import json

import pytest
from repository import composed

from vrft_aug.data.policy_files import Bounds, adopt, read_bounds, read_settings, write_bounds, write_settings
from vrft_aug.errors import InputError

NEW = {"image_processor": {"size": {"shortest_edge": 3136, "longest_edge": 50176}, "patch_size": 14, "merge_size": 2}}
OLD = {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "merge_size": 2}  # as on the hub
LABELS = {"train": 40, "val": 12}


@pytest.fixture
def policy(tmp_path):
    """The exported policy of a run of the 3B: other lengths than the tiny policy's."""
    folder = tmp_path / "run" / "policy"
    folder.mkdir(parents=True)
    (folder / "processor_config.json").write_text(json.dumps(NEW))
    write_settings(folder, composed("grpo", "policy=qwen2_5_vl_3b").policy, [{"recipe": "sft", "labels": LABELS}])
    return folder


@pytest.mark.parametrize(("file", "content"), [("processor_config.json", NEW), ("preprocessor_config.json", OLD)])
def test_bounds_are_written_and_read(tmp_path, file, content):
    assert read_bounds(tmp_path) is None
    (tmp_path / "hub").write_text(json.dumps(content))
    (tmp_path / file).symlink_to(tmp_path / "hub")
    assert read_bounds(tmp_path).min_pixels == 3136
    write_bounds(tmp_path, 262144, 1003520)
    assert read_bounds(tmp_path) == Bounds(262144, 1003520, 14, 2)
    assert json.loads((tmp_path / "hub").read_text()) == content, "the file behind the link changed"


def test_transformers_reads_the_bounds_that_were_written(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the training stack is not installed (make setup)")
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(OLD | {"image_processor_type": "Qwen2VLImageProcessor"}))
    write_bounds(tmp_path, 262144, 1003520)
    size = transformers.AutoImageProcessor.from_pretrained(tmp_path).size
    assert (size["shortest_edge"], size["longest_edge"]) == (262144, 1003520)


def test_a_processor_without_bounds_is_one_line(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 224}}')
    with pytest.raises(InputError, match=r"preprocessor_config.json: no shortest_edge"):
        read_bounds(tmp_path)


def test_settings_are_found_from_policy_run_and_checkpoint(policy):
    (policy.parent / "checkpoints").mkdir()
    write_settings(policy.parent / "checkpoints", composed("grpo").policy, [])
    step = policy.parent / "checkpoints" / "global_step_4"
    assert read_settings(policy)["trainings"][0]["labels"] == LABELS
    assert read_settings(policy.parent)["name"] == "qwen2_5_vl_3b"
    assert read_settings(step)["name"] == read_settings(step / "actor")["name"] == "tiny"
    assert read_settings(None) is read_settings("Qwen/Qwen2.5-VL-3B-Instruct") is None


def test_an_evaluation_takes_the_settings_of_the_run_that_made_the_policy(policy):
    config = composed("evaluate", f"policy.path={policy}")
    assert (config.policy.max_length, config.policy_name) == (784, "tiny"), "the defaults are the tiny policy's"
    adopted = adopt(config, [f"policy.path={policy}"])
    assert adopted.policy_name == adopted.policy.name == "qwen2_5_vl_3b"
    assert (adopted.policy.max_length, adopted.policy.max_response_length) == (3072, 1024)
    assert (adopted.policy.min_pixels, adopted.policy.max_pixels) == (3136, 50176)
    assert config.policy.max_length == 784, "the given config changed"


def test_a_length_on_the_command_line_wins(policy):
    overrides = [f"policy.path={policy.parent}", "policy.max_response_length=32"]
    adopted = adopt(composed("evaluate", *overrides), overrides)
    assert (adopted.policy.max_response_length, adopted.policy.max_length) == (32, 3072)


@pytest.mark.parametrize("override", ["policy=tiny", "policy.min_pixels=12544", "policy.box_frame=thousand"])
def test_a_contradiction_is_refused(policy, override):
    overrides = [override, f"policy.path={policy}"]
    with pytest.raises(InputError, match=rf"{override} contradicts policy.path=.*, which was made with .*; leave"):
        adopt(composed("evaluate", *overrides), overrides)


def test_a_policy_of_somebody_else_keeps_the_config(tmp_path):
    config = composed("evaluate", f"policy.path={tmp_path}")
    assert adopt(config, []) is config
