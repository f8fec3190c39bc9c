"""Says on the terminal which stages of a table begin, which cells have ended, and about how long the rest takes."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import mean

from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Stage


class Progress:
    """to_run: the stages that will run; the cells without one are done. say: prints a line. beside: recipes that run
    beside the others."""

    def __init__(
        self, work: Sequence[tuple[Cell, list[Stage]]], to_run: set[Stage], say: Callable[[str], None],
        beside: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._say, self._beside, self._started = say, beside, time.monotonic()
        self._began: dict[Stage, float] = {}
        self._seconds: dict[str, list[float]] = defaultdict(list)  # of the stages that have succeeded, per recipe
        self._cells = {f"cell {number}/{len(work)}  {cell.folder}": set(stages)
                       for number, (cell, stages) in enumerate(work, start=1)}  # fmt: skip
        self._left = {title: left for title, stages in self._cells.items() if (left := stages & to_run)}
        for title in self._cells:
            if title not in self._left:
                say(f"{title}: done before, skipped")

    def begin(self, stage: Stage) -> None:
        title = next(title for title, left in self._left.items() if stage in left)
        self._began[stage] = time.monotonic()
        self._say(f"{title}: {stage.name}")

    def end(self, over: set[Stage], failed: dict[Stage, str]) -> None:
        """over: stages that have ended, or will not run. failed: those that have failed until now."""
        now = time.monotonic()
        for stage in over & self._began.keys() - failed.keys():
            self._seconds[stage.recipe].append(now - self._began[stage])
        for left in self._left.values():
            left -= over
        for title in [title for title, left in self._left.items() if not left]:
            del self._left[title]
            state = "failed" if self._cells[title] & failed.keys() else "done"
            self._say(f"{title}: {state}; {(now - self._started) / 60:.0f} min{self._to_come()}")

    def _to_come(self) -> str:
        """The time left, if each stage takes as long as those of its recipe did; "" before each recipe has run."""
        left = set().union(*self._left.values())
        if not {stage.recipe for stage in left} <= self._seconds.keys():
            return ""
        beside, others = [
            sum(mean(self._seconds[stage.recipe]) for stage in left if (stage.recipe in self._beside) is beside)
            for beside in (True, False)
        ]
        return f", about {max(beside, others) / 60:.0f} min left"

    def interrupt(self) -> None:
        self._say(f"interrupted; not finished: {', '.join(self._left)}")
