"""Every command that README, CONTRIBUTING, docs/ and launch/README show exists, and the recipes that it runs compose.

This includes the recipes that a make target, a Ray job or Slurm starts. Commands that need neither a GPU, a cluster nor
a download are also run as they are written, in a copy of the tree, with few images and steps (slow).
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest
from documented import commands, pages, parts, recipes
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from repository import ROOT, choices

from vrft_aug.configs import compose

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

ALL = list({command.words: command for page in pages() for command in commands(page)}.values())  # each once
NEEDS_A_CLUSTER = {"docker", "envsubst", "kubectl", "ray", "sbatch", "ssh"}  # or another machine
SHELL = {"cd", "export", "git", "source"}
ROOTS = {"download": "prepare"}  # a recipe's root config where it has another name
NO_TARGETS = {"one", "quickstart_images", "miniature_small"}  # tables that a variable of another target chooses
SHORT = ["schedule.steps=2", "schedule.batch_size=8", "schedule.save_freq=2", "schedule.test_freq=2"]
FEW = [f"dataset.loader.{split}={size}" for split, size in (("train", 64), ("val", 32), ("test", 32))]
LIMITS = {"prepare": FEW, "sft": SHORT, "grpo": [*SHORT, "schedule.mini_batch_size=8"]}
TABLE_LIMITS = [f"+stages.{one}" for one in FEW] + [f"+training.{one}" for one in LIMITS["grpo"]]


def first_of_sweep(override: str) -> str:
    """The override of a sweep's first run: `objective=accuracy` for `objective=accuracy,mfrs`."""
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_sweep_override():
        return override
    return f"{parsed.get_key_element()}={next(parsed.sweep_string_iterator())}"


def composed(recipe: str, overrides: list[str]) -> DictConfig:
    """The recipe's config; a placeholder such as <name> stands for any text."""
    return compose(ROOTS.get(recipe, recipe), [first_of_sweep(one.replace("<name>", "name")) for one in overrides])


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_documented_command_exists(command):
    for words in parts(command.words):
        started = recipes(words)
        for recipe, overrides in started:
            assert composed(recipe, [one for one in overrides if one != "objective=<name>"]) is not None
        assert started or exists(words), f"{command.page}: {command}: this test does not know how to check it"


def exists(words: tuple[str, ...]) -> bool:
    """Whether a command that starts no recipe exists."""
    if words[0] == "make":
        return subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, check=False).returncode == 0
    if words[0] in ("python", ".venv/bin/python"):
        return find_spec(words[2]) is not None if words[1] == "-m" else (ROOT / words[1]).is_file()
    if words[0].startswith((".venv/bin/", ".ci/")):
        return (ROOT / words[0]).exists()
    return words[0] in NEEDS_A_CLUSTER | SHELL or shutil.which(words[0]) is not None


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
def test_each_target_of_make_help_exists(target):
    assert exists(("make", target))


@pytest.mark.parametrize("target", [*choices("experiment"), *sorted(set(choices("table")) - NO_TARGETS)])
def test_each_target_of_make_help_composes(target):
    for recipe, overrides in recipes(("make", target)):
        assert composed(recipe, overrides).table.rows


def test_the_two_commands_come_first():
    assert [str(command) for command in ALL[:2]] == ["make quickstart", "make test"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The tracked files in a folder of their own, with this checkout's environment."""
    folder = tmp_path_factory.mktemp("copy")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if (ROOT / name).is_file():  # `vrft_aug/conf` is a link
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)  # with its date, or make would set up again
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in ALL if "<" not in str(one) and recipes(one.words)], ids=str)
def test_what_a_laptop_can_run_runs_as_written(command, copy):
    for recipe, overrides in recipes(command.words):
        if needed := what_is_missing(composed(recipe, overrides), copy):
            pytest.skip(f"needs {needed}; composed above")
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if recipes(command.words)[0][0] == "watch":
        return serves(command.words, copy, env)
    done = subprocess.run(limited(command.words), cwd=copy, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def serves(words: tuple[str, ...], folder: Path, env: dict[str, str]) -> None:
    """Start a command that serves until Ctrl-C, and open the address that it prints."""
    process = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        line = process.stdout.readline()
        assert urlopen(re.search(r"http://127\.0\.0\.1:\S+", line)[0]).status == 200, line
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)


def what_is_missing(config: DictConfig, folder: Path) -> str:
    """What a run of this config needs and a laptop lacks; empty where it lacks nothing."""
    if config.get("plan"):
        return ""
    if "hardware" in config and config.hardware.device != "cpu":
        return "a GPU"
    names = list(config.table.datasets) if config.get("table") else [config.dataset.name] if "dataset" in config else []
    if strangers := [name for name in names if name not in ("phantom", "phantom_grade")]:
        return f"the data set {strangers[0]}"
    absent = [path for path in [*config.get("runs", []), config.get("data", ""), config.get("run", "")]
              if isinstance(path, str) and not (folder / path).exists()]  # fmt: skip
    return f"{absent[0]}, which such a command made" if absent else ""


def limited(words: tuple[str, ...]) -> list[str]:
    """The command with few images and steps, if it does not make the quickstart, which is short."""
    (recipe, _), *_ = recipes(words)
    if words[0] != "make":
        return [*words, *LIMITS.get(recipe, [])]
    if recipe != "experiments" or words[1] == "plan":
        return list(words)
    given = next((word for word in words if word.startswith("ARGS=")), "ARGS=")
    return [*(word for word in words if word != given), f"{given} {' '.join(TABLE_LIMITS)}"]
