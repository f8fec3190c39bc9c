"""The claims of SECURITY.md that one process can check. For servers, keys and leftovers, see test_faults.py."""

import os
import subprocess

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from repository import ROOT

from vrft_aug.configs import flatten
from vrft_aug.errors import InputError

CONF = ROOT / "conf"
FORBIDDEN = ("trust_remote_code=True", "allow_pickle=True", "weights_only=False", "pickle.load", "yaml.load(",
             "shell=True", "0.0.0.0")  # fmt: skip


def composed(root: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base=None):
        return compose(root, list(overrides))


@pytest.mark.parametrize("hardware", sorted(path.stem for path in (CONF / "hardware").glob("*.yaml")))
@pytest.mark.parametrize("root", ["grpo", "sft", "evaluate", "probe", "prepare"])
def test_no_composed_config_trusts_remote_code(root, hardware):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    config = OmegaConf.to_container(composed(root, f"hardware={hardware}"), resolve=False)
    trust = {name: value for name, value in flatten(config).items() if "trust_remote_code" in name}
    assert not any(trust.values()), trust
    assert len(trust) >= {"grpo": 3, "sft": 1}.get(root, 0), "verl renamed its key: check it again"


def test_no_code_of_ours_opens_a_door():
    sources = [file for folder in ("vrft_aug", "recipes", "launch") for file in (ROOT / folder).rglob("*.py")]
    found = {(file.name, word) for file in sources for word in FORBIDDEN if word in file.read_text(encoding="utf-8")}
    assert len(sources) > 50 and not found


def test_a_policy_of_pickled_weights_is_refused(tmp_path):
    from vrft_aug.engine.training.policy import resolve

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(InputError, match="safetensors"):
        resolve(OmegaConf.create({"path": str(tmp_path)}))


def test_yaml_makes_no_objects(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"key: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'touched'}]\n")
    with pytest.raises(Exception, match="could not determine a constructor"):
        OmegaConf.load(file)
    assert not (tmp_path / "touched").exists()


def test_serving_stays_on_this_machine():
    from vrft_aug.engine.verl.serve import command

    done = subprocess.run(["make", "-n", "serve", "POLICY=x"], cwd=ROOT, capture_output=True, text=True)
    assert "-m vrft_aug.engine.verl.serve x " in done.stdout, done.stdout + done.stderr
    assert "--host=127.0.0.1" in command("x", composed("evaluate"), [])


def test_vllm_listens_beyond_this_machine_only_in_a_cluster_that_was_named(monkeypatch):
    from vrft_aug.engine.run.preflight import prepare_environment

    monkeypatch.setenv("VLLM_HOST_IP", "")  # so that it is restored
    monkeypatch.delenv("VLLM_HOST_IP")
    prepare_environment(OmegaConf.create({"env": {}, "ray": {"address": "auto"}}))
    assert "VLLM_HOST_IP" not in os.environ
    prepare_environment(OmegaConf.create({"env": {}, "ray": {"address": "local"}}))
    assert os.environ["VLLM_HOST_IP"] == "127.0.0.1"
