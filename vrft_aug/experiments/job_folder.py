"""Keeps a table's files of jobs: the output of each job, and a note of each job that was sent and not accounted for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vrft_aug.experiments.jobs import Job
from vrft_aug.experiments.stages import Stage
from vrft_aug.files import write_whole


@dataclass(frozen=True)
class Sent:
    """A job that was sent to a cluster. number: the cluster's id of it; command: what it runs."""

    job: Job
    number: str
    command: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether the table would still send the same command."""
        return self.command == self.job.stage.command


class JobFolder:
    """folder: <job>.txt has the output of a job, <job>.json the note. Every node must share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return str(self._folder)

    def log(self, job: Job) -> Path:
        return self._folder / f"{job.name}.txt"

    def note(self, job: Job, number: str) -> None:
        write_whole(self._note(job), json.dumps({"number": number, "command": job.stage.command}) + "\n")

    def forget(self, job: Job) -> None:
        self._note(job).unlink(missing_ok=True)

    def sent(self, stages: Iterable[Stage]) -> list[Sent]:
        """The notes about jobs of these stages."""
        noted = [job for job in map(Job, dict.fromkeys(stages)) if self._note(job).is_file()]
        read = [(job, json.loads(self._note(job).read_text())) for job in noted]
        return [Sent(job, note["number"], tuple(note["command"])) for job, note in read]

    def _note(self, job: Job) -> Path:
        return self._folder / f"{job.name}.json"
