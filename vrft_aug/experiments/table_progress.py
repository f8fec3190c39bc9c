"""Says on the terminal which stages of a table begin and which cells have ended."""

import time
from collections.abc import Callable, Sequence

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Stage


class Progress:
    """to_run: the stages that will run; the cells without one are done. say: prints a line."""

    def __init__(
        self, work: Sequence[tuple[Cell, list[Stage]]], to_run: set[Stage], say: Callable[[str], None]
    ) -> None:
        self._say, self._started, self._ended = say, time.monotonic(), 0
        self._cells = {f"cell {number}/{len(work)}  {cell.folder}": set(stages)
                       for number, (cell, stages) in enumerate(work, start=1)}  # fmt: skip
        self._left = {title: left for title, stages in self._cells.items() if (left := stages & to_run)}
        for title in self._cells:
            if title not in self._left:
                say(f"{title}: done before, skipped")

    def begin(self, stage: Stage) -> None:
        title = next(title for title, left in self._left.items() if stage in left)
        self._say(f"{title}: {stage.name}")

    def end(self, over: set[Stage], failed: dict[Stage, str]) -> None:
        """over: stages that have ended, or will not run. failed: those that have failed until now."""
        for title, left in list(self._left.items()):
            left -= over
            if not left:
                del self._left[title]
                self._ended += 1
                minutes = (time.monotonic() - self._started) / 60
                to_come = minutes / self._ended * len(self._left)
                state = "failed" if self._cells[title] & failed.keys() else "done"
                self._say(f"{title}: {state}; {minutes:.0f} min, at most {to_come:.0f} min left")

    def interrupt(self) -> None:
        self._say(f"interrupted; not finished: {', '.join(self._left)}")
