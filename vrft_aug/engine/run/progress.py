"""Shows a person the progress of a training: one line per step, from the metrics that verl writes."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vrft_aug.engine.run import metrics_file

QUIET_SECONDS = 20  # after this long without a new step, a line says that we wait


@dataclass
class MetricsFollower:
    """Context that shows and keeps the metrics of the training that runs inside it (see metrics_file.py).

    folder: the run's. total_steps: of the whole training, to estimate the time that is left.
    headline: metrics to show, label -> verl's key (with `*`: the first that matches). say: prints a line.
    warn: lines "<metric> ..." about a step's metrics; each metric is reported once. after: called after new steps.
    """

    folder: Path
    total_steps: int
    headline: dict[str, str]
    say: Callable[[str], None]
    warn: Callable[[dict[str, float]], list[str]] = lambda metrics: []
    after: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.source = self.folder / metrics_file.WRITTEN
        self._warned: set[str] = set()
        self._done = threading.Event()
        self._offset = 0
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> "MetricsFollower":
        self.source.unlink(missing_ok=True)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._show_new()
        self.source.unlink(missing_ok=True)

    def _follow(self) -> None:
        started = last = time.monotonic()
        while not self._done.wait(0.5):
            if self._show_new():
                last = time.monotonic()
            elif time.monotonic() - last > QUIET_SECONDS:
                last = time.monotonic()
                waiting_for = "the next step" if self._offset else "Ray, vLLM and FSDP to start"
                self.say(f"waiting for {waiting_for} ({last - started:.0f} s)")

    def _show_new(self) -> bool:
        """Show and keep the lines that verl has completed since the last call; True if there are any."""
        new = metrics_file.take_new(self.folder, self._offset)
        self._offset += len(new)
        for line in new.splitlines():
            record = json.loads(line)
            self.say(self._describe(record["step"], record["data"]))
            for warning in self.warn(record["data"]):
                if (metric := warning.split()[0]) not in self._warned:
                    self._warned.add(metric)
                    self.say(f"warning: {warning}")
        if new:
            self.after()
        return bool(new)

    def _describe(self, step: int, metrics: dict[str, float]) -> str:
        now = time.monotonic()
        self._first = self._first or (step, now)
        text = f"step {step}/{self.total_steps}"
        for label, key in self.headline.items():
            value = next((metrics[name] for name in sorted(metrics) if fnmatchcase(name, key)), None)
            text += "" if value is None else f"  {label} {value:.3f}"
        first_step, first_time = self._first
        if step > first_step:
            pace = (now - first_time) / (step - first_step)
            minutes, seconds = divmod(round(pace * (self.total_steps - step)), 60)
            text += f"  {pace:.1f} s/step  {minutes}:{seconds:02d} left"
        return text
