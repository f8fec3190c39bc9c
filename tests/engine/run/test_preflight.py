"""The checks that refuse a run before it costs anything."""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from vrft_aug.engine.run import policy_size, preflight
from vrft_aug.errors import InputError

CPU = OmegaConf.create(
    {"name": "cpu", "device": "cpu", "min_free_gigabytes": 0, "env": {}, "ray": {"address": "local"},
     "master_dtype": "float32", "lora_rank": 0}
)


def test_a_policy_that_cannot_fit_is_refused_by_its_size(tmp_path, monkeypatch):
    save_file({"weight": np.zeros((1000, 2500), np.float32)}, tmp_path / "model.safetensors")
    preflight.check_memory(str(tmp_path), CPU)
    monkeypatch.setattr(preflight, "BYTES_A_PARAMETER", 10**9)
    with pytest.raises(InputError, match=r"\(2\.5 M parameters\) needs about .* GiB are free"):
        preflight.check_memory(str(tmp_path), CPU)


def test_a_tensor_that_does_not_fit_into_the_buffer_of_weights_is_refused(tmp_path):
    save_file({"small": np.zeros(9, np.float32), "large": np.zeros((1024, 512), np.float32)},
              tmp_path / "model.safetensors")  # fmt: skip
    fits = OmegaConf.merge(CPU, {"weight_bucket_megabytes": 2})
    preflight.check_weight_bucket(str(tmp_path), fits)
    small = OmegaConf.merge(CPU, {"weight_bucket_megabytes": 1})
    with pytest.raises(InputError, match=r"large has 2 MiB, but hardware\.weight_bucket_megabytes=1: set it to 2"):
        preflight.check_weight_bucket(str(tmp_path), small)
    preflight.check_weight_bucket(str(tmp_path), OmegaConf.merge(small, {"device": "cuda"}))  # verl sends it alone
    preflight.check_weight_bucket("Qwen/Qwen2.5-VL-3B-Instruct", small)  # not here: nothing is known


@pytest.mark.parametrize(
    ("change", "copies"), [({}, 12), ({"lora_rank": 8}, 4), ({"lora_rank": 8, "master_dtype": "bfloat16"}, 2)]
)
def test_checkpoints_that_cannot_fit_the_disk_are_refused(tmp_path, monkeypatch, change, copies):
    save_file({"weight": np.zeros((1000, 2500), np.float32)}, tmp_path / "model.safetensors")
    free = int(2.5e6 * copies * 2.5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    hardware = OmegaConf.merge(CPU, change)
    preflight.check_disk(str(tmp_path), tmp_path, 2, hardware)
    with pytest.raises(InputError, match=r"3 checkpoints of policy .* need about .* GiB are free"):
        preflight.check_disk(str(tmp_path), tmp_path, 3, hardware)


def test_exported_variables_win_over_the_profiles_except_the_platform(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("VERL_PLATFORM", "nvidia")
    env = {"OMP_NUM_THREADS": "1", "VERL_PLATFORM": "cpu"}
    preflight.prepare_environment(OmegaConf.merge(CPU, {"env": env}))
    assert (os.environ["OMP_NUM_THREADS"], os.environ["VERL_PLATFORM"]) == ("7", "cpu")


def test_frozen_parameters_need_neither_gradients_nor_moments(tmp_path, monkeypatch):
    sizes = {"visual.blocks.0": 1000, "visual.merger": 500, "model.layers.0": 2000}
    tensors = {f"{name}.weight": np.zeros((1000, size), np.float32) for name, size in sizes.items()}
    save_file(tensors, tmp_path / "model.safetensors")
    for freeze, frozen in (("none", 0), ("vision", 1e6), ("vision+merger", 1.5e6), ("language", 2e6)):
        saved = 3 * (3.5e6 - frozen) + frozen
        assert policy_size.checkpoint_bytes(str(tmp_path), CPU, freeze) == 4 * saved
    lora = OmegaConf.merge(CPU, {"lora_rank": 8})
    assert policy_size.checkpoint_bytes(str(tmp_path), lora, "vision") == 4 * 3.5e6
    monkeypatch.setattr(preflight, "free_memory", lambda: 28 * 3.5e6 - 12 * 1e6)
    preflight.check_memory(str(tmp_path), CPU, "grpo", "vision")
    with pytest.raises(InputError, match="close other programs"):
        preflight.check_memory(str(tmp_path), CPU, "grpo", "none")
    offload = {"parameters": True, "optimizer": True}
    gpu = OmegaConf.merge(CPU, {"device": "cuda", "devices_per_node": 1, "nodes": 2, "offload": offload,
                                "reference": {"dtype": "bfloat16"}})  # fmt: skip
    whole, frozen = (policy_size.host_bytes(str(tmp_path), gpu, "grpo", freeze) for freeze in ("none", "vision"))
    assert whole - frozen == 1e6 * 2 * 4 / 2  # two moments in float32, shared by two nodes
