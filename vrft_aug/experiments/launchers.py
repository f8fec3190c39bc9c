"""Chooses what sends the jobs of a table to a cluster: a Ray cluster or Slurm. Wrong settings are refused here."""

from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from omegaconf import DictConfig

from vrft_aug.data.settings import check_choice
from vrft_aug.errors import InputError
from vrft_aug.experiments.stages import Stage


class State(Enum):
    """ACTIVE: the job runs or waits in the cluster's queue. FAILED: it failed, was stopped, or lost its node."""

    ACTIVE = auto()
    SUCCEEDED = auto()
    FAILED = auto()


class Launcher(Protocol):
    """Runs commands on a cluster. Its methods raise RunFailed if the cluster does not answer or refuses.

    pause: seconds between two looks at the jobs. title: words for the user, as "Ray cluster at <address>".
    """

    pause: float

    @property
    def title(self) -> str: ...

    def submit(self, name: str, stage: Stage, log: Path) -> str:
        """Start the stage's command as a job whose output is appended to `log`; returns the job's id."""

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """The states of the jobs that the cluster knows."""

    def stop_commands(self, ids: Sequence[str]) -> list[str]:
        """Commands with which a user stops the jobs."""


def check(config: DictConfig) -> None:
    """Raise InputError for a wrong `submit` or `jobs`, and for settings of a launcher that is not chosen."""
    check_choice("submit", config.submit, (None, "ray", "slurm"))
    if type(config.jobs) is not int or config.jobs < 1:
        raise InputError(f"jobs={config.jobs}: must be a whole number from 1, the jobs that may run at once")
    for key, owner in (("address", "ray"), ("sbatch", "slurm")):
        if config[key] is not None and config.submit != owner:
            raise InputError(f"{key}={config[key]} has no effect with submit={config.submit or 'null'}: add "
                             f"submit={owner}, or leave it out")  # fmt: skip


def choose(config: DictConfig) -> Launcher:
    """The launcher of `submit`. config: it has passed `check`.

    Raises InputError for what it lacks: an address, a cluster that answers, Slurm's programs, the right folder.
    """
    if config.submit == "ray":
        from vrft_aug.experiments.ray_jobs import RayJobs

        return RayJobs.connected(config.address, config.hardware.devices_per_node)
    from vrft_aug.experiments.slurm_jobs import SlurmJobs

    devices = 0 if config.hardware.device == "cpu" else config.hardware.devices_per_node
    return SlurmJobs.found(config.hardware.nodes, devices, config.sbatch or "")
