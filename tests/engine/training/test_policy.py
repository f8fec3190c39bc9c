"""What policy.path may name. For merging a real checkpoint, see test_policy_merge.py."""

import hashlib
import json

import pytest
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.policy_files import Bounds, read_bounds
from vrft_aug.engine.training import policy
from vrft_aug.errors import InputError

BOUNDS = Bounds(3136, 50176, 14, 2)
PROCESSOR = {"min_pixels": 3136, "max_pixels": 50176, "patch_size": 14, "merge_size": 2}


def settings(path, **changes) -> DictConfig:
    return OmegaConf.create({"name": "toy", "path": str(path), **BOUNDS._asdict(), **changes})


def resolve(path, work=None, **changes) -> str:
    return policy.resolve(settings(path, **changes), work)


@pytest.fixture
def model(tmp_path):
    """The policy in a run folder, with empty files."""
    folder = tmp_path / "run" / "policy"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_other_bounds_are_written_into_a_folder_of_links(model, tmp_path):
    work = tmp_path / "out" / "start"
    assert resolve(model, work) == str(model), "the bounds fit"
    assert not work.exists()
    assert resolve(model, work, min_pixels=12544) == resolve(model, work, min_pixels=12544) == str(work)
    assert read_bounds(work) == Bounds(12544, 50176, 14, 2)
    assert read_bounds(model) == BOUNDS
    assert (work / "model.safetensors").readlink() == model / "model.safetensors"
    assert resolve(model, None, min_pixels=12544) == str(model), "without a folder nothing can be written"


def test_a_cluster_gets_copies(model, tmp_path):
    work = tmp_path / "out" / "start"
    policy.resolve(settings(model, max_pixels=262144), work, copy=True)
    assert not (work / "model.safetensors").is_symlink()
    assert read_bounds(work).max_pixels == 262144


def test_a_model_with_other_patches_is_refused(model, tmp_path):
    with pytest.raises(InputError, match=r"policy=toy has patch=16 and merge=2; choose the policy= of this model"):
        resolve(model, tmp_path / "start", patch=16)


@pytest.fixture
def checkpoint(tmp_path):
    shards = tmp_path / "run" / "checkpoints" / "global_step_20" / "actor"
    (shards / "huggingface").mkdir(parents=True)
    (shards / "huggingface" / "config.json").write_text("{}")
    (shards / "fsdp_config.json").write_text("{}")
    return shards.parent


def test_a_model_or_a_run_that_has_one(model):
    assert resolve(model) == resolve(model.parent) == str(model)


def test_without_merging_a_checkpoints_tokenizer_is_enough(checkpoint):
    assert resolve(checkpoint) == resolve(checkpoint / "actor") == str(checkpoint / "actor" / "huggingface")


def test_a_merged_folder_is_used_again_for_the_same_checkpoint_only(checkpoint, tmp_path, monkeypatch):
    merged, made = tmp_path / "out" / "policy", []

    def merge(source, target):
        (target / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
        made.append(source)

    monkeypatch.setattr(policy, "_merge", merge)
    assert resolve(checkpoint, merged) == resolve(checkpoint, merged) == str(merged)
    assert made == [checkpoint / "actor"]
    other = checkpoint.rename(checkpoint.with_name("global_step_40"))
    resolve(other, merged)
    assert made == [checkpoint / "actor", other / "actor"]
    assert not list(merged.parent.glob(".*.partial"))


def test_a_merged_checkpoint_gets_other_bounds_in_its_own_folder(checkpoint, tmp_path, monkeypatch):
    def merge(source, target):
        (target / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(policy, "_merge", merge)
    work = tmp_path / "out" / "policy"
    assert resolve(checkpoint, work, min_pixels=12544) == resolve(checkpoint, work, min_pixels=12544) == str(work)
    assert read_bounds(work) == Bounds(12544, 50176, 14, 2)
    assert (work / "model.safetensors").read_bytes() == b"weights"


def test_a_merge_that_fails_leaves_what_was_there(checkpoint, tmp_path, monkeypatch):
    merged = tmp_path / "out" / "policy"
    merged.mkdir(parents=True)
    (merged / policy.MARK).write_text(hashlib.sha256(b"another").hexdigest())

    def broken(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(policy, "_merge", broken)
    with pytest.raises(OSError, match="disk full"):
        resolve(checkpoint, merged)
    assert [path.name for path in merged.iterdir()] == [policy.MARK]


def test_anything_else_is_one_line(tmp_path, model, checkpoint):
    (model / "model.safetensors").unlink()
    for path in (tmp_path / "absent", tmp_path, model, checkpoint.parent, checkpoint / "actor" / "huggingface"):
        with pytest.raises(InputError, match=r"no config.json and \*.safetensors there; give a model's folder"):
            resolve(path)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "processor_config.json"])
def test_a_policy_with_python_code_is_refused(model, checkpoint, file, monkeypatch):
    pytest.importorskip("transformers", reason="the training stack is not installed (make setup)")
    monkeypatch.setattr(policy, "_merge", lambda *_: 1 / 0)
    for folder, path in ((model, model), (checkpoint / "actor" / "huggingface", checkpoint)):
        (folder / file).write_text('{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]}}')
        with pytest.raises(InputError, match=f"{file} names Python code of the model"):
            resolve(path, model.parent / "merged")
    (model / file).write_text('{"auto_map')
    with pytest.raises(InputError, match=f"{file}: not JSON .* fetch the policy again"):
        resolve(model)


def test_an_id_that_the_hub_does_not_have_is_one_line(monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="the training stack is not installed (make setup)")

    def model_info(self, hub_id, timeout):
        assert timeout <= 5
        raise OSError("no such model")

    monkeypatch.setattr(hub.HfApi, "model_info", model_info)
    with pytest.raises(InputError, match=r"policy.path=runs/absent: no such folder, .* hub .*no such model"):
        resolve("runs/absent")
