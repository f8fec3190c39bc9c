"""Runs recipes as Slurm jobs, through sbatch and launch/slurm.sbatch, and asks squeue and sacct how they ended."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments.launcher import State
from vrft_aug.experiments.runner import ROOT
from vrft_aug.experiments.stages import Stage

PROGRAMS = ("sbatch", "squeue", "sacct")
SCRIPT = "launch/slurm.sbatch"
UNDECIDED = ("PENDING", "RUNNING", "REQUEUED", "RESIZING", "SUSPENDED")  # sacct is behind squeue


@dataclass
class SlurmJobs:
    """A launcher (launcher.py). nodes: of GRPO, the others get one; devices: GPUs per node, 0 for none; options: more
    options of sbatch, which win over ours."""

    nodes: int
    devices: int
    options: tuple[str, ...] = ()
    pause: float = 15
    title: str = "Slurm"

    @classmethod
    def found(cls, nodes: int, devices: int, options: str) -> "SlurmJobs":
        """Raises InputError if Slurm's programs are missing or the current folder is not the checkout."""
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise InputError(f"submit=slurm needs {program}, which is not on PATH: submit from a login node of the "
                                 "Slurm cluster")  # fmt: skip
        if Path.cwd() != ROOT:
            raise InputError(f"submit=slurm: jobs start in the current folder, so start in the checkout: cd {ROOT}")
        return cls(nodes, devices, tuple(shlex.split(options)))

    def submit(self, name: str, stage: Stage, log: Path) -> str:
        trains = stage.recipe == "grpo"
        gpus = [f"--gpus-per-node={self.devices}"] if self.devices and stage.recipe != "prepare" else []
        ours = [f"--job-name={name}", f"--output={log}", "--open-mode=append", f"--nodes={self.nodes if trains else 1}"]
        printed = _ask("sbatch", "--parsable", *ours, *gpus, *self.options, SCRIPT, *stage.command)
        return printed.strip().partition(";")[0]  # "<id>;<cluster>"

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        queued = set(_ask("squeue", "--me", "--noheader", "--format=%A").split())
        found = {one: State.ACTIVE for one in ids if one in queued}
        if left := [one for one in ids if one not in queued]:
            printed = _ask("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobIDRaw,State",
                           f"--jobs={','.join(left)}")  # fmt: skip
            found |= {one: _state(state) for one, _, state in (line.partition("|") for line in printed.splitlines())}
        return found

    def stop_commands(self, ids: Sequence[str]) -> list[str]:
        return [f"scancel {' '.join(ids)}"]


def _state(text: str) -> State:
    """text: as sacct prints it, for example "CANCELLED by 1000"."""
    word = text.split()[0].rstrip("+") if text else ""
    return State.SUCCEEDED if word == "COMPLETED" else State.ACTIVE if word in UNDECIDED else State.FAILED


def _ask(*command: str) -> str:
    """What a program of Slurm prints. It has its own session, so that Ctrl-C does not end it half-way."""
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    if done.returncode:
        raise RunFailed(f"{command[0]} failed: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
