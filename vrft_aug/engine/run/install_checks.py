"""Checks the installation for the doctor: versions, patches and plugins."""

import configparser
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrft_aug.engine.run.machine_checks import Verdict

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ROOT / "requirements"
SWITCHES = {"verl.plugins": "VERL_USE_EXTERNAL_PLUGINS", "vllm.general_plugins": "VLLM_PLUGINS"}
LOAD = """import importlib.metadata, sys
for entry in importlib.metadata.entry_points(group=sys.argv[1], name="vrft_aug"):
    loaded = entry.load()
    callable(loaded) and loaded()"""


def versions(lock: Path, setup: str = "make setup") -> Verdict:
    """The installed packages are those of the lock (`name==version` per line). The verdict names three that differ.

    setup: the command that installs the lock.
    """
    different = []
    pins = [line.strip().split("==") for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
    for name, pinned in pins:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] != pinned.split("+")[0]:
            different.append(f"{name} {found}, not {pinned}")
    if not different:
        return f"{len(pins)} as in requirements/{lock.name}", ""
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return f"{', '.join(different[:3])}{more}", f"the lock is requirements/{lock.name}: run `{setup}`"


def patches(device: str) -> Verdict:
    """Our patches refuse to work with versions for which they were not written: see patches.py."""
    from vrft_aug.engine.verl.patches import WRITTEN_FOR

    needed = {name: version for name, version in WRITTEN_FOR.items() if name == "verl" or device == "cpu"}
    found = {name: importlib.metadata.version(name) for name in needed}
    wanted = ", ".join(f"{name} {version}" for name, version in needed.items())
    if found == needed:
        return f"written for {wanted}", ""
    remedy = "run `make setup` (for GPUs with HARDWARE=<profile>), or follow docs/upgrading-verl.md"
    return f"written for {wanted}; found {', '.join(found.values())}", remedy


def registered(group: str) -> Verdict:
    """Our entry point of `group` is installed as setup.cfg declares it, and no environment variable disables it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    value = setup["options.entry_points"][group].split("=")[1].strip()
    path = [place for place in sys.path if Path(place).resolve() != ROOT]  # an egg-info in ROOT is no installation
    installed = next(iter(importlib.metadata.distributions(name="vrft-aug", path=path)), None)
    found = [entry.value for entry in installed.entry_points.select(group=group)] if installed else []
    if value not in found:
        remedy = "run `pip install --no-deps -e .` in the repository"
        return f"{value} is not registered (found: {', '.join(found) or 'nothing'})", remedy
    allowed = os.environ.get(SWITCHES[group], "auto")
    if allowed != "auto" and "vrft_aug" not in allowed.split(","):
        return f"{SWITCHES[group]}={allowed} disables {value}", f"unset {SWITCHES[group]}"
    return f"{value} is registered", ""


def loads(group: str, environment: Mapping[str, Any]) -> Verdict:
    """Our entry point of `group` loads in a new process. verl and vLLM do not report one that does not load."""
    command = [sys.executable, "-P", "-c", LOAD, group]
    env = os.environ | {name: str(value) for name, value in environment.items()}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1], "fix that, or run `make setup` (for GPUs with HARDWARE=<profile>)"
    return "without an error", ""
