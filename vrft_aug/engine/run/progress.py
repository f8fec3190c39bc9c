"""What a person sees while verl trains: a line a step, read from the metrics file that verl writes.

verl's file logger truncates its file at each start, so it writes to `.metrics.jsonl` and every line that arrives
there is shown and appended to `metrics.jsonl`, which so keeps the steps before a resumption.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

QUIET_SECONDS = 20  # a person is told after this long without a step


class MetricsFollower:
    """Context that shows and keeps the metrics of the training that runs inside it.

    Args:
        folder: the run's folder.
        total_steps: steps of the whole training, for the time that is left.
        headline: metric names to show, label -> verl's key (a key may end in `*`: the first that matches).
        say: prints a line.
        warn: what is wrong with a step's metrics, as "<metric> ..." lines; each metric is warned of once.
        after: called when new steps are in metrics.jsonl.
    """

    def __init__(
        self,
        folder: Path,
        total_steps: int,
        headline: dict[str, str],
        say: Callable[[str], None],
        warn: Callable[[dict[str, float]], list[str]] = lambda metrics: [],
        after: Callable[[], None] = lambda: None,
    ):
        self.source = folder / ".metrics.jsonl"
        self._kept = folder / "metrics.jsonl"
        self._total = total_steps
        self._headline = headline
        self._say = say
        self._warn = warn
        self._after = after
        self._warned: set[str] = set()
        self._done = threading.Event()
        self._offset = 0
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> "MetricsFollower":
        self.source.unlink(missing_ok=True)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._done.set()
        self._thread.join()
        self._read_new()
        self.source.unlink(missing_ok=True)

    def _follow(self) -> None:
        started = last = time.monotonic()
        while not self._done.wait(0.5):
            if self._read_new():
                last = time.monotonic()
            elif time.monotonic() - last > QUIET_SECONDS:
                last = time.monotonic()
                waiting_for = "the next step" if self._offset else "Ray, vLLM and FSDP to start"
                self._say(f"waiting for {waiting_for} ({last - started:.0f} s)")

    def _read_new(self) -> bool:
        """Show and keep the complete lines that were written since the last call."""
        if not self.source.exists():
            return False
        with self.source.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._offset += len(new)
        if new:
            with self._kept.open("ab") as kept:
                kept.write(new)
        for line in new.splitlines():
            record = json.loads(line)
            self._say(self._describe(record["step"], record["data"]))
            for warning in self._warn(record["data"]):
                if (metric := warning.split()[0]) not in self._warned:
                    self._warned.add(metric)
                    self._say(f"warning: {warning}")
        if new:
            self._after()
        return bool(new)

    def _describe(self, step: int, metrics: dict[str, float]) -> str:
        now = time.monotonic()
        self._first = self._first or (step, now)
        text = f"step {step}/{self._total}"
        for label, key in self._headline.items():
            value = _find(metrics, key)
            text += "" if value is None else f"  {label} {value:.3f}"
        first_step, first_time = self._first
        if step > first_step:
            pace = (now - first_time) / (step - first_step)
            minutes, seconds = divmod(round(pace * (self._total - step)), 60)
            text += f"  {pace:.1f} s/step  {minutes}:{seconds:02d} left"
        return text


def recover_steps(folder: Path) -> None:
    """Take into metrics.jsonl what verl wrote of an earlier run after its follower was killed, and no torn line."""
    files = (folder / "metrics.jsonl", folder / ".metrics.jsonl")
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines(keepends=True)]
    if lines:
        _write_kept(folder, [line for line in dict.fromkeys(lines) if line.endswith("\n")])


def keep_steps_up_to(folder: Path, step: int) -> None:
    """Drop from metrics.jsonl the steps after `step`: a resumed training will do them again."""
    kept = folder / "metrics.jsonl"
    if kept.exists():
        lines = kept.read_text().splitlines(keepends=True)
        _write_kept(folder, [line for line in lines if json.loads(line)["step"] <= step])


def _write_kept(folder: Path, lines: list[str]) -> None:
    temporary = folder / ".metrics.kept"
    temporary.write_text("".join(lines))
    temporary.rename(folder / "metrics.jsonl")


def _find(metrics: dict[str, float], key: str) -> float | None:
    if not key.endswith("*"):
        return metrics.get(key)
    return next((value for name, value in sorted(metrics.items()) if name.startswith(key[:-1])), None)
