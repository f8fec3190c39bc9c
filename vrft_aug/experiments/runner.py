"""Runs the stages of cells as commands, one after another; what already stands is not run again."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Stage

ROOT = Path(__file__).resolve().parents[2]
DONE = "stage.json"  # in a stage's folder: the command that ended well there
Say = Callable[[str], None]


class Runner:
    """Runs cells; a cell that fails does not stop the others.

    A stage stands when its last good run had the same overrides and nothing before it in its cell ran again.
    """

    def __init__(self, say: Say):
        self._say = say
        self._ended: dict[Stage, bool] = {}  # of this call's stages: did it end well

    def run(self, work: Sequence[tuple[Cell, list[Stage]]]) -> list[str]:
        """Returns a line for each cell that failed."""
        failed, started, ran = [], time.monotonic(), 0
        for number, (cell, stages) in enumerate(work, start=1):
            title = f"cell {number}/{len(work)}  {cell.folder}"
            if all(self.stands(stage) for stage in stages):
                self._say(f"{title}: stands, skipped")
                continue
            ran += 1
            if broken := self._run_cell(title, stages):
                failed.append(f"{cell.folder}: {broken.name} failed: python {' '.join(broken.command)}")
            minutes = (time.monotonic() - started) / 60
            left = f"about {minutes / ran * (len(work) - number):.0f} min left, if none stands"
            self._say(f"{title}: {'failed' if broken else 'done'}; {minutes:.0f} min, {left}")
        return failed

    def _run_cell(self, title: str, stages: list[Stage]) -> Stage | None:
        """The stage that failed, or None."""
        fresh = True  # nothing before has run again
        for stage in stages:
            if stage not in self._ended:
                if fresh and self.stands(stage):
                    continue
                self._say(f"{title}: {stage.name}")
                (stage.out / DONE).unlink(missing_ok=True)
                self._ended[stage] = _execute(stage)
            fresh = False
            if not self._ended[stage]:
                return stage
        return None

    def stands(self, stage: Stage) -> bool:
        done = stage.out / DONE
        return stage not in self._ended and done.is_file() and json.loads(done.read_text()) == list(stage.command)


def _execute(stage: Stage) -> bool:
    """Run the stage's recipe; an interruption ends it first, cleanly, and then goes on."""
    recipe, *overrides = stage.command
    # A session of its own: Ctrl-C in the terminal reaches the recipe once, through this process.
    recipe = subprocess.Popen([sys.executable, str(ROOT / recipe), *overrides], start_new_session=True)
    try:
        recipe.wait()
    except KeyboardInterrupt:
        recipe.terminate()
        recipe.wait()
        raise
    if recipe.returncode == 0:
        temporary = stage.out / f".{DONE}"
        temporary.write_text(json.dumps(stage.command) + "\n")
        temporary.rename(stage.out / DONE)
    return recipe.returncode == 0
