"""Runs the stages of cells as commands on this machine, and skips what is already done.

One stage that needs the device runs at a time, and beside it one that does not: while a cell trains, the rows of a
later one are prepared. On a CPU tests run beside trainings, too. What is refused beside another stage, as for lack of
memory, runs once more, alone.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vrft_aug.engine.cpu.fork_python import SERVER_GONE
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.jobs import Job, failed_cells, jobs_of
from vrft_aug.experiments.stages import Stage
from vrft_aug.experiments.table_progress import Progress
from vrft_aug.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
REFUSED = 2  # exit status of a recipe (cli.py)
DONE = "stage.json"  # file in a stage's folder with the command that succeeded there


class Runner:
    """Runs cells; a stage that fails does not stop those that do not wait for it. A stage is done when its last
    successful run had the same command, and nothing that it reads was made anew."""

    def __init__(self, say: Callable[[str], None], python: str = sys.executable,
                 beside: Sequence[str] = ("prepare",)) -> None:  # fmt: skip
        """python: starts the recipes. beside: recipes that run beside the others, one at a time."""
        self._say, self._python, self._beside = say, python, beside
        self._waiting: list[Job] = []
        self._running: dict[int, tuple[Stage, subprocess.Popen[bytes]]] = {}  # by a pidfd of the process
        self._failed: dict[Stage, str] = {}  # stage -> its command
        self._shared: set[Stage] = set()  # stages that ran beside another
        self._again: set[Stage] = set()  # stages that are started a second time
        self._alone: set[Stage] = set()  # those of them that run alone

    def run(self, work: Sequence[tuple[Cell, list[Stage]]]) -> list[str]:
        """Returns one line per cell that failed, or that did not run because a stage that it shares had failed."""
        self._waiting, self._failed = jobs_of(work, is_done), {}
        progress = Progress(work, {job.stage for job in self._waiting}, self._say, self._beside)
        for job in self._waiting:
            forget(job.stage)
        try:
            while self._start(progress) or self._running:
                for pidfd in select.select(list(self._running), [], [])[0]:
                    progress.end(self._end(pidfd), self._failed)
        except KeyboardInterrupt:
            progress.interrupt()
            self._stop()
            raise
        return failed_cells(work, self._failed)

    def _start(self, progress: Progress) -> bool:
        """Start what can run now, at most one stage of each kind, and return whether any was started."""
        before = len(self._running)
        for job in list(self._waiting):
            if not all(map(is_done, job.after)):
                continue
            if self._has_room(job.stage):
                self._waiting.remove(job)
                progress.begin(job.stage)
                process = _execute(job.stage, self._python)
                self._running[os.pidfd_open(process.pid)] = job.stage, process
                self._shared |= set(self._stages) if len(self._running) > 1 else set()
            elif job.stage in self._alone:
                break  # or what starts now would keep it waiting
        return len(self._running) > before

    @property
    def _stages(self) -> list[Stage]:
        return [stage for stage, _ in self._running.values()]

    def _has_room(self, stage: Stage) -> bool:
        """Whether the stage can run beside those that run now."""
        if self._alone.intersection([stage, *self._stages]):
            return not self._running
        return (stage.recipe in self._beside) not in [one.recipe in self._beside for one in self._stages]

    def _end(self, pidfd: int) -> set[Stage]:
        """Account for a stage that has ended. Returns it, and after a failure all those that wait for it in vain; none
        if it is started again."""
        stage, process = self._running.pop(pidfd)
        os.close(pidfd)
        over = {stage}
        if (status := process.wait()) == 0:
            mark_done(stage)
            return over
        crowded = status == REFUSED and stage in self._shared
        if (crowded or status == SERVER_GONE) and stage not in self._again:
            self._again.add(stage)
            self._alone |= {stage} if crowded else set()
            self._waiting.insert(0, Job(stage))
            return set()
        self._failed[stage] = f"python {' '.join(stage.command)}"
        for job in list(self._waiting):  # each comes after those for which it waits
            if over.intersection(job.after):
                over.add(job.stage)
                self._waiting.remove(job)
        return over

    def _stop(self) -> None:
        """End the recipes cleanly."""
        processes = [process for _, process in self._running.values()]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def is_done(stage: Stage) -> bool:
    """Whether the last successful run in the stage's folder had its command."""
    done = stage.out / DONE
    return done.is_file() and json.loads(done.read_text()) == list(stage.command)


def mark_done(stage: Stage) -> None:
    """Note that the stage's command has succeeded in its folder."""
    write_whole(stage.out / DONE, json.dumps(stage.command) + "\n")


def forget(stage: Stage) -> None:
    """Delete that note, before a stage runs again."""
    (stage.out / DONE).unlink(missing_ok=True)


def _execute(stage: Stage, python: str) -> subprocess.Popen[bytes]:
    """Start the recipe, in a session of its own: Ctrl-C in the terminal reaches it once, through this process."""
    recipe, *overrides = stage.command
    return subprocess.Popen([python, str(ROOT / recipe), *overrides], start_new_session=True)
