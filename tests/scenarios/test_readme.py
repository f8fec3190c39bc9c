"""Every command that README, CONTRIBUTING, docs/ and launch/README show exists, and what it runs composes.

A recipe's overrides are composed with Hydra, also where a make target, a Ray job or Slurm starts the recipe. What can
run on a CPU without a download is run as it is written, in a copy of the tree, with few images and steps (slow).
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
from documented import Command, commands, pages, parts, recipes
from hydra.core.override_parser.overrides_parser import OverridesParser
from repository import ROOT, choices

from vrft_aug.configs import compose

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

ALL = list(dict.fromkeys(command for page in pages() for command in commands(page)))
NEEDS_A_CLUSTER = {"docker", "envsubst", "kubectl", "ray", "sbatch", "ssh"}  # or another machine
SHELL = {"cd", "export", "git", "source", "."}
DRAWN_ON_THE_SPOT = ("phantom", "phantom_grade")
FEW = ["limit={train:16,val:8,test:8}"]
SHORT = ["schedule.steps=2", "schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.save_freq=2",
         "schedule.test_freq=2"]  # fmt: skip


def first_of_sweep(override: str) -> str:
    """`objective=accuracy,mfrs` as the first run of the sweep has it."""
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_sweep_override():
        return override
    return f"{parsed.get_key_element()}={next(parsed.sweep_string_iterator())}"


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_documented_command_is_what_it_says(command):
    for words in parts(command.words):
        started = recipes(words)
        for recipe, overrides in started:
            if "plan=true" not in overrides or recipe == "experiments":
                compose(recipe, [first_of_sweep(one) for one in overrides if "<" not in one])
        assert started or known(words), f"{command.page}: {command} is none that this test knows how to check"


def known(words: tuple[str, ...]) -> bool:
    """Whether a command that starts no recipe exists."""
    if words[0] == "make":
        return subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, check=False).returncode == 0
    if words[0] in ("python", ".venv/bin/python"):
        return find_spec(words[2]) is not None if words[1] == "-m" else (ROOT / words[1]).is_file()
    if words[0].startswith((".venv/bin/", ".ci/")):
        return (ROOT / words[0]).exists()
    return words[0] in NEEDS_A_CLUSTER | SHELL or shutil.which(words[0]) is not None


def test_the_two_commands_come_first():
    assert [str(command) for command in ALL[:2]] == ["make quickstart", "make test"]
