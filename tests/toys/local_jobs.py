"""Runs jobs as plain processes of this machine, and a toy recipe for them; stands for a cluster in tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vrft_aug.errors import RunFailed
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.launcher import State
from vrft_aug.experiments.stages import Stage

# It needs what it reads, notes that it ran, waits for the file `gate` if told so, and ends with `status`.
TOY = """
import pathlib, sys, time
options = dict(item.split("=") for item in sys.argv[1:])
needs = [name for name in options.get("needs", "").split(",") if name]
missing = [name for name in needs if not (pathlib.Path(name) / "result").exists()]
sys.exit(f"lacks {missing}") if missing else None
out = pathlib.Path(options["out"]); out.mkdir(parents=True, exist_ok=True)
with (out / "ran").open("a") as log: log.write("x")
print("started", flush=True)
while "gate" in options and not pathlib.Path(options["gate"]).exists(): time.sleep(0.02)
(out / "result").touch()
sys.exit(int(options.get("status", 0)))
"""


def write_toy(root: Path) -> None:
    """Make a checkout with one recipe, `toy`."""
    (root / "recipes").mkdir()
    (root / "recipes" / "toy.py").write_text(TOY)


def stage(root: Path, name: str, *reads: Stage, **options: object) -> Stage:
    """A stage of the toy recipe in <root>/<name>, which fails without the results of the stages that it reads."""
    out, folders = root / name, tuple(one.out for one in reads)
    given = [f"{key}={value}" for key, value in options.items()]
    return Stage(name, "toy", (*given, f"needs={','.join(map(str, folders))}", f"out={out}"), out, folders)


def cell(name: str) -> Cell:
    return Cell(name, "toy", None, "tiny")


def times(root: Path, *names: str) -> list[int]:
    """How often each stage ran."""
    return [len((root / name / "ran").read_text()) if (root / name / "ran").exists() else 0 for name in names]


class LocalJobs:
    """A launcher whose jobs are processes. most: the largest number that ran at once. silent: it does not answer."""

    pause, title = 0.02, "this machine"

    def __init__(self, root: Path) -> None:
        self.root, self.most, self.silent, self.sent = root, 0, False, list[str]()
        self._jobs: dict[str, subprocess.Popen] = {}

    def submit(self, name: str, stage: Stage, log: Path) -> str:
        recipe, *overrides = stage.command
        with log.open("a") as output:
            job = subprocess.Popen([sys.executable, str(self.root / recipe), *overrides], stdout=output, stderr=output,
                                   start_new_session=True)  # fmt: skip
        self._jobs[str(job.pid)] = job
        self.sent.append(name)
        self.most = max(self.most, sum(one.poll() is None for one in self._jobs.values()))
        return str(job.pid)

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        if self.silent:
            raise RunFailed("this machine does not answer")
        codes = {one: self._jobs[one].poll() for one in ids if one in self._jobs}
        ended = {None: State.ACTIVE, 0: State.SUCCEEDED}
        return {one: ended.get(code, State.FAILED) for one, code in codes.items()}

    def stop_commands(self, ids: Sequence[str]) -> list[str]:
        return [f"kill {one}" for one in ids]

    def kill(self, number: str) -> None:
        os.kill(int(number), signal.SIGKILL)
        self._jobs[number].wait()

    def wait_for(self, file: Path) -> None:
        deadline = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline, f"no {file}"
            time.sleep(0.02)
