"""Says what a launcher does: it runs the jobs of a table on a cluster. ray_jobs.py and slurm_jobs.py have one each."""

from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

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
