"""Runs the stages of cells as commands, one after another, and skips what is already done."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Stage
from vrft_aug.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
DONE = "stage.json"  # file in a stage's folder with the command that succeeded there


class Runner:
    """Runs cells; a cell that fails does not stop the others. A stage is done when its last successful run had the same
    command, and no earlier stage of its cell has run again."""

    def __init__(self, say: Callable[[str], None], python: str = sys.executable) -> None:
        """python: starts the recipes."""
        self._say, self._python = say, python
        self._succeeded: dict[Stage, bool] = {}  # the stages that this object has run
        self._failed_in: dict[Stage, str] = {}  # stage -> folder of the cell in which it failed

    def run(self, work: Sequence[tuple[Cell, list[Stage]]]) -> list[str]:
        """Returns one line per cell that failed, or that did not run because a stage that it shares had failed."""
        failed, started, ran = [], time.monotonic(), 0
        for number, (cell, stages) in enumerate(work, start=1):
            title = f"cell {number}/{len(work)}  {cell.folder}"
            if all(self.is_done(stage) for stage in stages):
                self._say(f"{title}: done before, skipped")
                continue
            ran += 1
            try:
                broken = self._run_cell(title, stages)
            except KeyboardInterrupt:
                self._say(f"{title}: interrupted; not run: {_names(work[number:])}")
                raise
            if broken:
                failed.append(self._failure(cell, broken))
            minutes = (time.monotonic() - started) / 60
            left = minutes / ran * (len(work) - number)
            self._say(f"{title}: {'failed' if broken else 'done'}; {minutes:.0f} min, at most {left:.0f} min left")
        return failed

    def _failure(self, cell: Cell, broken: Stage) -> str:
        if (first := self._failed_in.setdefault(broken, cell.folder)) != cell.folder:
            return f"{cell.folder}: not run, since its stage {broken.name} failed in {first}"
        return f"{cell.folder}: {broken.name} failed: python {' '.join(broken.command)}"

    def _run_cell(self, title: str, stages: list[Stage]) -> Stage | None:
        """The stage that failed, or None."""
        unchanged = True  # no earlier stage has run again
        for stage in stages:
            if stage not in self._succeeded:
                if unchanged and self.is_done(stage):
                    continue
                self._say(f"{title}: {stage.name}")
                forget(stage)
                self._succeeded[stage] = _execute(stage, self._python)
            unchanged = False
            if not self._succeeded[stage]:
                return stage
        return None

    def is_done(self, stage: Stage) -> bool:
        """Whether an earlier call has run the stage with success."""
        return stage not in self._succeeded and is_done(stage)


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


def _names(work: Sequence[tuple[Cell, list[Stage]]]) -> str:
    return ", ".join(cell.folder for cell, _ in work) or "none"


def _execute(stage: Stage, python: str) -> bool:
    """Run the stage's recipe and return whether it succeeded. An interruption ends the recipe cleanly first."""
    recipe, *overrides = stage.command
    # The recipe has its own session: Ctrl-C in the terminal reaches it once, through this process.
    process = subprocess.Popen([python, str(ROOT / recipe), *overrides], start_new_session=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if process.returncode == 0:
        mark_done(stage)
    return process.returncode == 0
