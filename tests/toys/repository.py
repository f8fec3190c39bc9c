"""Finds the folders of the checkout under test and composes its configs."""

import functools
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.configs import compose

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"


def choices(group: str) -> list[str]:
    """The files of a config group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def gpu_profiles() -> list[str]:
    """The profiles of conf/hardware for machines with GPUs."""
    return [name for name in choices("hardware") if composed(f"hardware/{name}").hardware.device == "cuda"]


@functools.cache
def composed(root: str, *overrides: str) -> DictConfig:
    """The resolved config of a root file. It is cached: a test that changes it must copy it first."""
    return compose(root, overrides)
