"""Sends the stages of a table's cells as jobs, follows the jobs and accounts for those that end."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.job_folder import JobFolder, Sent
from vrft_aug.experiments.jobs import Job, failed_cells, jobs_of
from vrft_aug.experiments.launcher import Launcher, State
from vrft_aug.experiments.runner import forget, is_done, mark_done
from vrft_aug.experiments.stages import Stage

PATIENCE = 20  # looks in a row in which the cluster does not answer, or does not know a job
Work = Sequence[tuple[Cell, list[Stage]]]


class Follower:
    """Runs the stages of cells as jobs. A job that fails does not stop the others.

    limit: jobs at once. filled: called with the cells that are done whenever another one is, except for the last.
    """

    def __init__(self, launcher: Launcher, folder: JobFolder, limit: int,
                 say: Callable[[str], None], filled: Callable[[Work], None] | None = None) -> None:  # fmt: skip
        self._launcher, self._folder, self._limit, self._say, self._filled = launcher, folder, limit, say, filled
        self._waiting: list[Job] = []
        self._active: dict[str, Job] = {}  # by the cluster's id of the job
        self._failed: dict[Stage, str] = {}  # stage -> why
        self._missed: Counter[str] = Counter()  # id, or "" for the cluster -> looks in a row without an answer

    def run(self, work: Work) -> list[str]:
        """Returns one line per cell that failed, or that did not run because a stage that it shares had failed.

        Raises InputError for a job of an earlier call that runs with other settings, RunFailed if the cluster no longer
        answers, KeyboardInterrupt for Ctrl-C. In all three cases the jobs that run go on.
        """
        self._adopt(self._folder.sent(stage for _, stages in work for stage in stages), work)
        followed = {job.stage for job in self._active.values()}
        self._waiting = [job for job in jobs_of(work, is_done) if job.stage not in followed]
        for job in self._waiting:
            forget(job.stage)
        self._say(f"{self._launcher.title}: {len(self._waiting)} jobs to send, {len(followed)} followed again; at most "
                  f"{self._limit} at once; their output: {self._folder}")  # fmt: skip
        try:
            self._follow(work)
        except (KeyboardInterrupt, RunFailed):
            self._leave()
            raise
        return failed_cells(work, self._failed)

    def _adopt(self, sent: Sequence[Sent], work: Work) -> None:
        """Account for the jobs of an earlier call: those that have ended, and those that still run."""
        states = self._launcher.states([one.number for one in sent]) if sent else {}
        for one in sent:
            state = states.get(one.number, State.FAILED)
            if state is State.ACTIVE:
                self._active[one.number] = one.job
                continue
            self._folder.forget(one.job)
            if state is State.SUCCEEDED and one.is_current:
                mark_done(one.job.stage)
        to_run = {job.stage: job for job in jobs_of(work, is_done)}
        for one in sent:
            if one.number in self._active and not (one.is_current and not to_run[one.job.stage].after):
                (stop,) = self._launcher.stop_commands([one.number])
                raise InputError(f"{one.job.stage.out}: the job {one.number} still runs there with other settings: "
                                 f"wait for it, or stop it: {stop}")  # fmt: skip

    def _follow(self, work: Work) -> None:
        self._send()
        done = len(_done(work))
        while self._active:
            time.sleep(self._launcher.pause)
            self._look()
            self._send()
            if self._filled and self._active and len(now := _done(work)) > done:
                done = len(now)
                self._filled(now)

    def _send(self) -> None:
        """Send the jobs whose turn it is; drop those that wait for a stage that failed."""
        lost = set(self._failed)
        for job in list(self._waiting):
            if lost.intersection(job.after):
                lost.add(job.stage)
                self._waiting.remove(job)
            elif len(self._active) < self._limit and all(map(is_done, job.after)):
                with uninterrupted():
                    number = self._launcher.submit(job.name, job.stage, self._folder.log(job))
                    self._folder.note(job, number)
                    self._waiting.remove(job)
                    self._active[number] = job
                self._say(f"sent {job.stage.name}: {job.stage.out} (job {number})")

    def _look(self) -> None:
        """Account for the jobs that have ended. Raises RunFailed if the cluster has not answered for long."""
        try:
            states = self._launcher.states(list(self._active))
        except RunFailed:
            self._missed[""] += 1
            if self._missed[""] == PATIENCE:
                raise
            return
        self._missed = Counter({one: self._missed[one] + 1 for one in self._active if one not in states})
        states |= {one: State.FAILED for one, times in self._missed.items() if times == PATIENCE}
        for number, state in states.items():
            if state is not State.ACTIVE:
                self._end(number, state)

    def _end(self, number: str, state: State) -> None:
        job = self._active.pop(number)
        name, log = f"{job.stage.name}: {job.stage.out}", self._folder.log(job)
        if state is State.SUCCEEDED and job.stage.out.is_dir():
            mark_done(job.stage)
            self._say(f"done {name}; {len(self._active) + len(self._waiting)} jobs left")
        else:
            absent = "" if log.is_file() else " (there is none: do all nodes share that folder?)"
            self._failed[job.stage] = f"job {number}, output {log}{absent}"
            self._say(f"failed {name}: {self._failed[job.stage]}")
        self._folder.forget(job)

    def _leave(self) -> None:
        if self._active:
            stop = "; ".join(self._launcher.stop_commands(list(self._active)))
            self._say(f"{len(self._active)} jobs go on. The same command follows them again and sends the others. To "
                      f"stop them: {stop}")  # fmt: skip


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off to the end of the block. A job that is sent but not noted would be sent twice."""
    came: list[int] = []
    earlier = {one: signal.signal(one, lambda number, _: came.append(number))
               for one in (signal.SIGINT, signal.SIGTERM)}  # fmt: skip
    try:
        yield
    finally:
        for one, handler in earlier.items():
            signal.signal(one, handler)
    if came:
        raise KeyboardInterrupt


def _done(work: Work) -> list[tuple[Cell, list[Stage]]]:
    return [(cell, stages) for cell, stages in work if all(map(is_done, stages))]
