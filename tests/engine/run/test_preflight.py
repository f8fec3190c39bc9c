"""What is checked before a run costs anything."""

import shutil

import numpy as np
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from vrft_aug.engine.run import preflight
from vrft_aug.errors import InputError

CPU = OmegaConf.create(
    {"name": "cpu", "device": "cpu", "min_free_gigabytes": 0, "env": {}, "ray": {"address": "local"}}
)


def test_a_policy_that_cannot_fit_is_refused_by_its_size(tmp_path, monkeypatch):
    save_file({"weight": np.zeros((1000, 2500), np.float32)}, tmp_path / "model.safetensors")
    preflight.check_memory(str(tmp_path), CPU)
    monkeypatch.setattr(preflight, "BYTES_A_PARAMETER", 10**9)
    with pytest.raises(InputError, match=r"\(2\.5 M parameters\) needs about .* GiB are free"):
        preflight.check_memory(str(tmp_path), CPU)


def test_checkpoints_that_cannot_fit_the_disk_are_refused(tmp_path, monkeypatch):
    save_file({"weight": np.zeros((1000, 2500), np.float32)}, tmp_path / "model.safetensors")
    preflight.check_disk(str(tmp_path), tmp_path, 2)
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(preflight, "SAVED_BYTES_A_PARAMETER", free / 2.5e6 / 2.5)
    preflight.check_disk(str(tmp_path), tmp_path, 1)  # two fit
    with pytest.raises(InputError, match=r"checkpoints of policy .* need about .* GiB are free"):
        preflight.check_disk(str(tmp_path), tmp_path, 2)


def test_the_profiles_environment_yields_to_the_persons_but_for_the_platform(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("VERL_PLATFORM", "nvidia")
    env = {"OMP_NUM_THREADS": "1", "VERL_PLATFORM": "cpu"}
    preflight.prepare_environment(OmegaConf.merge(CPU, {"env": env}))
    import os

    assert (os.environ["OMP_NUM_THREADS"], os.environ["VERL_PLATFORM"]) == ("7", "cpu")
