"""Checks which Python a table's stages are started with, and that nothing of it stays."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from omegaconf import OmegaConf

from vrft_aug.configs import CONF
from vrft_aug.engine.cpu import fork_python
from vrft_aug.experiments.warm_python import warm_python


@pytest.fixture
def hardware():
    found = OmegaConf.create({"hardware": OmegaConf.load(CONF / "hardware" / "cpu.yaml")})
    found.hardware.ray.num_gpus = 1
    return found.hardware


@pytest.mark.parametrize("changed", [{"fork": False}, {"address": "auto"}])
def test_without_forks_or_in_a_cluster_it_is_this_python(hardware, changed):
    with warm_python(OmegaConf.merge(hardware, {"ray": changed})) as python:
        assert python == sys.executable and fork_python.FOLDER not in os.environ


def test_a_stage_starts_with_the_imports_and_without_ray(hardware):
    code = "import sys; print(*(name in sys.modules for name in ('torch', 'vllm', 'hydra', 'ray', 'verl')))"
    with warm_python(hardware) as python:
        folder = Path(python).parent
        found = [subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=300) for _ in range(2)]
    assert [one.stdout for one in found] == ["True True True False False\n"] * 2, found[0].stderr
    assert not folder.exists() and fork_python.FOLDER not in os.environ
    left = [one for one in psutil.process_iter(["cmdline"]) if str(folder) in (one.info["cmdline"] or [])]
    assert psutil.wait_procs(left, timeout=30)[1] == []


def test_a_stage_ends_with_a_killed_server_and_the_next_start_makes_a_new_one(hardware):
    code = "import os, time; print(os.getppid(), flush=True); time.sleep(120 * ('again' not in os.environ))"
    with warm_python(hardware) as python:
        first = subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True)
        server = psutil.Process(int(first.stdout.readline()))
        server.kill()
        assert first.wait(30) == fork_python.SERVER_GONE
        again = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=300,
                               env=os.environ | {"again": "1"})  # fmt: skip
        assert again.returncode == 0 and int(again.stdout) != server.pid
