"""What policy.path may name. For merging a real checkpoint, see test_policy_merge.py."""

import hashlib

import pytest
from omegaconf import OmegaConf

from vrft_aug.engine.training import policy
from vrft_aug.errors import InputError


def resolve(path, merged=None) -> str:
    return policy.resolve(OmegaConf.create({"path": str(path)}), merged)


@pytest.fixture
def model(tmp_path):
    """The policy in a run folder, with empty files."""
    folder = tmp_path / "run" / "policy"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


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
        target.mkdir(parents=True)
        made.append(source)

    monkeypatch.setattr(policy, "_merge", merge)
    assert resolve(checkpoint, merged) == resolve(checkpoint, merged) == str(merged)
    assert made == [checkpoint / "actor"]
    other = checkpoint.rename(checkpoint.with_name("global_step_40"))
    resolve(other, merged)
    assert made == [checkpoint / "actor", other / "actor"]
    assert not list(merged.parent.glob(".*.partial"))


def test_a_merge_that_fails_leaves_what_was_there(checkpoint, tmp_path, monkeypatch):
    merged = tmp_path / "out" / "policy"
    merged.mkdir(parents=True)
    (merged / policy.MARK).write_text(hashlib.sha256(b"another").hexdigest())

    def broken(source, target):
        target.mkdir()
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
    pytest.importorskip("transformers", reason="the training stack is not installed (make setup)")
    import transformers.utils

    def cached_file(hub_id, file):
        raise OSError("no such model")

    monkeypatch.setattr(transformers.utils, "cached_file", cached_file)
    with pytest.raises(InputError, match=r"policy.path=runs/absent: no such folder, .* hub .*no such model"):
        resolve("runs/absent")
