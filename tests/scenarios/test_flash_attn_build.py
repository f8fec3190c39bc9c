"""flash-attn is compiled last and for the machine's GPUs; what it lacks is named first (requirements/flash_attn.sh)."""

import os
import re

import pytest
from repository import ROOT
from set_up import checkout, make

from vrft_aug.configs import compose

SETUP = ("setup", "HARDWARE=gpu_2x80g")
PINS = (ROOT / "requirements" / "gpu.txt").read_text().splitlines()[2:]
(FLASH_ATTN,) = (pin for pin in PINS if pin.startswith("flash-attn=="))


@pytest.fixture
def copy(tmp_path):
    return checkout(tmp_path)


def compiles(calls: list[str]) -> bool:
    return any(line.startswith("uv pip install") and line.endswith(FLASH_ATTN) for line in calls)


def test_the_lock_comes_first_and_flash_attn_last(copy):
    code, errors, calls = make(copy, *SETUP, "MAX_JOBS=3")
    assert (code, errors) == (0, [])
    locked = [line.removeprefix("  locked ") for line in calls if line.startswith("  locked ")]
    assert [line for line in locked if not line.startswith("#")] == [pin for pin in PINS if pin != FLASH_ATTN]
    place = next(place for place, line in enumerate(calls) if line.endswith(FLASH_ATTN))
    assert "--no-build-isolation --no-cache --no-binary flash-attn" in calls[place]
    variables = ["FLASH_ATTENTION_FORCE_BUILD=TRUE", "FLASH_ATTN_CUDA_ARCHS=80", "MAX_JOBS=3"]
    assert calls[place + 1 : place + 4] == variables
    assert all(line.startswith("python ") for line in calls[place + 4 :])  # its import, and byte code


def test_its_build_and_the_script_find_what_they_read_in_the_lock():
    names = {pin.split("==")[0] for pin in PINS}
    assert {"cuda-toolkit", "ninja", "packaging", "psutil", "setuptools", "torch", "wheel"} <= names


@pytest.mark.parametrize(("gpus", "given", "expected"), [
    ("8.0", [], "80"), ("8.6", [], "80"), ("8.9 8.9", [], "80"), ("9.0", [], "90"), ("10.3", [], "100"),
    ("12.0", [], "120"), ("9.0 8.0 9.0", [], "80;90"), ("", ["CUDA_ARCHS=90"], "90"),
    ("8.0", ["CUDA_ARCHS=80;120"], "80;120"),
])  # fmt: skip
def test_it_is_compiled_for_the_gpus_of_the_machine_or_for_those_that_are_named(copy, gpus, given, expected):
    code, errors, calls = make(copy, *SETUP, *given, FAKE_GPUS=gpus)
    assert (code, errors) == (0, []) and f"FLASH_ATTN_CUDA_ARCHS={expected}" in calls


@pytest.mark.parametrize(("absent", "env", "words", "expected"), [
    ("nvcc", {"CUDA_HOME": "/nowhere"}, [], "nvcc, which compiles flash-attn, is missing (/nowhere/bin/nvcc): "),
    ("", {"FAKE_CUDA": "12.8"}, [], "nvcc is of CUDA 12, the lock's torch of CUDA 13: "),
    ("g++", {}, [], "g++, which compiles flash-attn, is missing: "),
    ("nvidia-smi", {}, [], "the NVIDIA driver (nvidia-smi) is missing: install it, name the architecture (CUDA_ARCHS="),
    ("", {"FAKE_GPUS": ""}, [], "nvidia-smi shows no GPU (NVIDIA-SMI has failed): "),
    ("", {"FAKE_GPUS": "8.0 7.5"}, [], "flash-attn has no code for compute capability 7.5"),
    ("", {}, ["CUDA_ARCHS=86"], "CUDA_ARCHS='86': flash-attn knows 80 (for every 8.x), 90, 100 and 120"),
])  # fmt: skip
def test_what_is_missing_is_named_before_anything_is_installed(copy, absent, env, words, expected):
    if absent:
        (copy / "bin" / absent).unlink()
    code, (line,), calls = make(copy, "table3", "HARDWARE=gpu_2x80g", *words, **env)
    assert code == 2 and line.startswith("error: ") and expected in line
    assert calls == [] and not (copy / ".venv-gpu").exists()


def test_the_way_without_it_that_the_error_names_works(copy):
    (copy / "bin" / "nvcc").unlink()
    _, (line,), _ = make(copy, *SETUP, CUDA_HOME="/nowhere")
    words, overrides = re.search(r"`make (.*?)`, then run with ARGS='(.*)'", line).groups()
    code, errors, calls = make(copy, *words.split())
    assert (code, errors) == (0, []) and not compiles(calls)
    hardware = compose("grpo", ["hardware=gpu_2x80g", *overrides.split()]).hardware
    assert (hardware.attention, hardware.remove_padding) == ("sdpa", False)


def test_leaving_it_out_is_remembered_until_it_is_asked_for(copy):
    make(copy, *SETUP, "FLASH_ATTN=0")
    assert make(copy, *SETUP) == (0, [], [])
    assert compiles(make(copy, *SETUP, "FLASH_ATTN=1")[2])
    assert make(copy, *SETUP) == (0, [], [])
    assert any("pip uninstall" in line for line in make(copy, *SETUP, "FLASH_ATTN=0")[2])


@pytest.mark.parametrize("step", ["-m venv", "-m pip", "-r -", "-e .", FLASH_ATTN, "import flash_attn"])
def test_a_failed_step_leaves_no_marker_and_the_next_try_completes(copy, step):
    code, _, calls = make(copy, "table3", "HARDWARE=gpu_2x80g", FAKE_FAILS=step)
    assert code == 2 and step in calls[-1] and not (copy / ".venv-gpu" / "ready").exists()
    code, errors, calls = make(copy, *SETUP)
    assert (code, errors) == (0, []) and compiles(calls) and (copy / ".venv-gpu" / "ready").exists()


def test_a_build_that_fails_says_how_to_go_on(copy):
    _, (line,), _ = make(copy, *SETUP, FAKE_FAILS=FLASH_ATTN)
    assert line.startswith("error: flash-attn does not compile, see above: MAX_JOBS=1") and "FLASH_ATTN=0" in line


def test_one_that_no_longer_loads_is_compiled_again_when_it_is_asked_for(copy):
    """The line of `make doctor` names FLASH_ATTN=1: without the import, the set-up would find everything ready."""
    make(copy, *SETUP)
    assert not compiles(make(copy, *SETUP, "FLASH_ATTN=1")[2])
    assert compiles(make(copy, *SETUP, "FLASH_ATTN=1", FAKE_FAILS="import flash_attn")[2])


def test_another_torch_or_architecture_compiles_it_anew_and_other_changes_do_not(copy):
    def younger(name: str) -> list[str]:
        later = (copy / ".venv-gpu" / "ready").stat().st_mtime + 10
        os.utime(copy / name, (later, later))
        return make(copy, *SETUP)[2]

    make(copy, *SETUP)
    calls = younger("setup.cfg")
    assert any(line.endswith("-e .") for line in calls) and not compiles(calls)
    os.utime(copy / "setup.cfg", (0, 0))
    lock = copy / "requirements" / "gpu.txt"
    lock.write_text(re.sub(r"^torch==.*$", "torch==9.9.9", lock.read_text(), flags=re.MULTILINE))
    assert compiles(younger("requirements/gpu.txt"))
    os.utime(lock, (0, 0))
    assert make(copy, *SETUP, "CUDA_ARCHS=80") == (0, [], [])
    assert compiles(make(copy, *SETUP, "CUDA_ARCHS=90")[2])
