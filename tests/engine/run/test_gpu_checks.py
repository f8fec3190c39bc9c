"""Each fault of a GPU machine that would show only inside a Ray worker is refused before, in one line with a remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig
from repository import ROOT, composed, gpu_profiles
from toy_data import compose_config

from vrft_aug.data.preparation.prepare import prepare
from vrft_aug.engine.run import gpu_checks, machine_checks, policy_size, preflight, profile_checks
from vrft_aug.engine.run.gpu_checks import Cuda, Device
from vrft_aug.errors import InputError

A100, A10G, T4 = Device("A100", 79.3, 8.0), Device("A10G", 22.1, 8.6), Device("T4", 14.6, 7.5)
TORCH = """
import os
__version__ = "2.11.0+cu130"
class version: cuda = "13.0"
class One:
    name, total_memory, major, minor = "NVIDIA A100-SXM4-80GB", int(79.3 * 2**30), 8, 0
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 2)
    get_device_properties = staticmethod(lambda place: One)
"""


def profile(name: str, *overrides: str) -> DictConfig:
    return composed("grpo", f"hardware={name}", "policy=tiny", *overrides).hardware


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """A folder that comes first on PATH and PYTHONPATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def healthy(monkeypatch):
    """A machine with two A100; returns a function that changes what torch says."""

    def says(*devices: Device, **said: str) -> None:
        monkeypatch.setattr(gpu_checks, "look", lambda: Cuda("2.11.0", "13.0", devices, **said))

    says(A100, A100)
    return says


def refused(hardware: DictConfig) -> str:
    with pytest.raises(InputError) as refusal:
        profile_checks.check_machine(hardware)
    return str(refusal.value)


def test_a_healthy_machine_passes(healthy):
    profile_checks.check_machine(profile("gpu_2x80g"))
    healthy(A10G)
    profile_checks.check_machine(profile("gpu_1x24g"))


def test_serving_needs_the_gpus_but_neither_flash_attn_nor_ray(healthy):
    hardware = profile("gpu_2x80g", "hardware.ray.num_cpus=1")
    healthy(A100, A100, flash_attn="ModuleNotFoundError: No module named 'flash_attn'")
    profile_checks.check_machine(hardware, serving=True)
    healthy(A10G, A10G)
    with pytest.raises(InputError, match="GPU memory"):
        profile_checks.check_machine(hardware, serving=True)


def test_a_driver_too_old_for_torchs_cuda_is_named(fake):
    """torch itself says that there is no GPU: this machine has none, and its torch may be built for CUDA."""
    program(fake, "nvidia-smi", "echo 570.124.06")
    if not gpu_checks.look().cuda:
        pytest.skip("this torch is without CUDA")
    line = refused(profile("gpu_2x80g"))
    assert "GPU: driver 570.124.06 is too old for torch 2.11.0 for CUDA 13.0; install the NVIDIA driver 580.65" in line


@pytest.mark.parametrize(("version", "old"), [("570.124.06", True), ("580.65.06", False), ("590.1", False)])
def test_the_oldest_driver_of_cuda_13(fake, version, old):
    program(fake, "nvidia-smi", f"echo {version}")
    found, remedy = gpu_checks.driver(Cuda("2.11.0", "13.0", trouble="CUDA initialization: no"), "gpu_2x80g")
    assert ("is too old" in found) == old
    assert old or ("finds no GPU: CUDA initialization: no" in found and "unset CUDA_VISIBLE_DEVICES" in remedy)


def test_no_driver_and_a_broken_one(fake):
    program(fake, "nvidia-smi", "echo couldn\\'t communicate with the NVIDIA driver; exit 9")
    verdict = gpu_checks.driver(Cuda("2.11.0", "13.0"), "gpu_2x80g")
    assert "couldn't communicate" in verdict[0] and "install the NVIDIA driver, 580.65 or newer" in verdict[1]


def test_a_driver_that_hangs(fake, monkeypatch):
    monkeypatch.setattr(gpu_checks, "PATIENCE", 0.3)
    program(fake, "nvidia-smi", "exec sleep 60")
    (fake / "torch.py").write_text("import time; time.sleep(60)\n")
    found, remedy = gpu_checks.driver(Cuda("2.11.0", "13.0"), "gpu_2x80g")
    assert found == "nvidia-smi does not answer within 0 s" and "install the NVIDIA driver" in remedy
    assert "does not answer" in gpu_checks.look().trouble


def test_a_torch_without_cuda_and_one_that_fails(fake):
    assert gpu_checks.driver(Cuda("2.11.0", ""), "gpu_1x24g")[1] == "run `make setup HARDWARE=gpu_1x24g`"
    (fake / "torch.py").write_text("raise ImportError('libcudart.so.13 is missing')\n")
    found, _ = gpu_checks.driver(gpu_checks.look(), "gpu_1x24g")
    assert "libcudart.so.13 is missing" in found


def test_what_torch_says_is_read_from_a_process_of_its_own(fake):
    (fake / "torch.py").write_text(TORCH)
    cuda = gpu_checks.look()
    assert (cuda.version, cuda.cuda, len(cuda.devices)) == ("2.11.0", "13.0", 2)
    assert cuda.devices[0] == Device("NVIDIA A100-SXM4-80GB", pytest.approx(79.3, abs=0.01), 8.0)
    assert "No module named 'flash_attn'" in cuda.flash_attn
    (fake / "flash_attn.py").write_text("raise ImportError('undefined symbol: _ZN3c10')\n")
    assert gpu_checks.look().flash_attn == "ImportError: undefined symbol: _ZN3c10"


@pytest.mark.parametrize(("devices", "name", "line"), [
    ((A100,), "gpu_2x80g", "GPU number: torch finds 1; 2 are needed: set hardware.devices_per_node=1"),
    ((A100, A10G), "gpu_2x80g", "GPU memory: 22.1 GiB per GPU; 80 are needed (about 72 GiB)"),
    ((T4,), "gpu_1x24g", "GPU memory: 14.6 GiB per GPU; 24 are needed"),
    ((Device("RTX 6000", 23.5, 7.5),), "gpu_1x24g",
     "GPU generation: RTX 6000 has compute capability 7.5; hardware.dtype=bfloat16 and hardware.attention="
     "flash_attention_2 need 8.0 (Ampere) or newer"),
])  # fmt: skip
def test_gpus_that_are_not_the_profiles(healthy, devices, name, line):
    healthy(*devices)
    assert f"hardware={name}: {line}" in refused(profile(name))


def test_a_clusters_gpus_are_not_looked_for_on_this_machine(healthy):
    healthy(A10G)
    profile_checks.check_machine(profile("multi_node"))


def test_flash_attn_that_does_not_load(healthy):
    healthy(A100, A100, flash_attn="ModuleNotFoundError: No module named 'flash_attn'")
    line = refused(profile("gpu_2x80g"))
    assert "run `make setup HARDWARE=gpu_2x80g FLASH_ATTN=1`, or set hardware.attention=sdpa" in line
    profile_checks.check_machine(profile("gpu_2x80g", "hardware.attention=sdpa", "hardware.remove_padding=false"))


@pytest.mark.parametrize("name", ["cpu", "gpu_2x80g"])
def test_sdpa_without_padding_is_refused(healthy, name):
    line = refused(profile(name, "hardware.attention=sdpa", "hardware.remove_padding=true"))
    assert "sdpa without padding; only flash_attention_2 can do without padding" in line


def test_no_compiler_and_no_headers(healthy, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert "C compiler: no gcc or clang; Triton needs one: install gcc" in refused(profile("gpu_2x80g"))
    program(tmp_path, "gcc", "")
    monkeypatch.setattr(machine_checks.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    assert "Python headers: " in refused(profile("gpu_2x80g"))
    (tmp_path / "Python.h").touch()
    profile_checks.check_machine(profile("gpu_2x80g"))


@pytest.mark.parametrize("name", gpu_profiles())
def test_vllm_compiles_no_sampler(name):
    assert profile(name).env["VLLM_USE_FLASHINFER_SAMPLER"] == "0"


def test_memory_of_a_gpu_machine(tmp_path, monkeypatch):
    """Every rank loads all of a policy that ties its embeddings: 8 x 14 GiB, and 7 GiB are the reference policy's."""
    hub = "Qwen/Qwen2.5-VL-3B-Instruct"
    node = profile("node_8x80g")
    copies = policy_size.PUBLISHED[hub] * (8 * 4 + 2)
    assert policy_size.host_bytes(hub, node, "grpo") == copies
    assert policy_size.host_bytes(hub, node, "evaluate") == 0
    monkeypatch.setattr(preflight, "free_memory", lambda: copies)
    with pytest.raises(InputError, match=r"needs about 18\d\.\d GiB of free memory, .* close other programs"):
        preflight.check_memory(hub, node)
    with pytest.raises(InputError, match="GiB of free memory"):
        preflight.check_memory(hub, profile("gpu_2x80g", "hardware.min_free_gigabytes=500"), "evaluate")
    (tmp_path / "config.json").write_text('{"tie_word_embeddings": false}')
    monkeypatch.setattr(policy_size, "parameters", lambda policy: 10**9)
    assert policy_size.host_bytes(str(tmp_path), node, "sft") == 4 * 10**9
    lora = profile("gpu_1x24g")  # in bfloat16, and the base is off-loaded
    assert policy_size.host_bytes(str(tmp_path), lora, "grpo") == (2 + 2) * 10**9


def test_published_sizes_are_those_of_the_architectures():
    from vrft_aug.experiments.model_size import PUBLISHED, count, read

    for name in ("qwen2_5_vl_3b", "qwen2_5_vl_7b", "lingshu_7b", "qwen3_vl_2b", "qwen3_vl_4b", "qwen3_vl_8b"):
        hub = composed("grpo", f"policy={name}").policy.path
        assert policy_size.parameters(hub) == count(read(PUBLISHED / f"{name}.json"))


def test_evaluation_without_a_gpu_says_so_in_one_line(tmp_path):
    """Before, vLLM said "Device string must not be empty"."""
    if gpu_checks.look().devices:
        pytest.skip("this machine has a GPU")
    sizes, rows = [f"dataset.loader.{split}=8" for split in ("train", "val", "test")], tmp_path / "rows"
    prepare(compose_config(f"out={rows}", *sizes))
    settings = ["hardware=gpu_1x24g", "policy=tiny", f"parquet={rows}", f"out={tmp_path / 'out'}"]
    command = [sys.executable, "recipes/evaluate.py", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: hardware=gpu_1x24g: GPU: ") and done.stderr.count("\n") == 1
