"""Says how the runs below a folder stand: state, step, time left, and when the last sign of life was. It only reads."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, TypedDict

import psutil

from vrft_aug.engine.run import metrics_file, rollouts_file
from vrft_aug.errors import InputError
from vrft_aug.evaluation.runs import facts_of, record_of

INSIDE = {"checkpoints", "policy", "rollouts", "tensorboard", "validation", "start", "rows"}  # folders of a run
LIFE = ("run.json", "metrics.jsonl", "log.txt", rollouts_file.FOLDER)  # what a run that works writes to
SILENT = 600  # seconds without a sign of life, after which a run is no longer believed to run
STEPS_SILENT = 5  # or that many steps, if they are longer
RECENT = 5  # steps whose mean duration says how long the others will take
TRAININGS = ("grpo", "sft")
GONE = "its process ended and left no word: start the same command again to resume"
QUIET = "its process may be on another machine, or gone: its log is log.txt in its folder"


class RunState(TypedDict):
    """key: names the run in an address of the page. name: the run's folder below the one that is watched.

    state: run.json's (running, finished, interrupted, failed), or "process gone", "silent", "damaged", "not recorded".
    why: of that state. left: seconds to the last step. quiet: seconds since the last sign of life. metrics, rollouts:
    stamps that change when the files do.
    """

    key: str
    name: str
    recipe: str
    dataset: str
    state: str
    why: str
    training: bool
    step: int | None
    steps: int | None
    left: float | None
    quiet: float
    started: str
    metrics: str
    rollouts: str


def run_folders(root: Path) -> dict[str, Path]:
    """key -> folder of every run below `root`, itself included; empty for a folder that does not exist yet."""
    return {hashlib.sha256(str(folder.relative_to(root)).encode()).hexdigest()[:12]: folder for folder in _found(root)}


def _found(root: Path) -> Iterator[Path]:
    for name, below, files in os.walk(root):
        is_run = bool({"run.json", "metrics.jsonl"} & set(files))
        below[:] = sorted(set(below) - INSIDE if is_run else below)
        if is_run:
            yield Path(name)


def states(root: Path) -> list[RunState]:
    """The runs in the order in which they started, without evaluations that lie beside another."""
    found = (_state(key, folder, root) for key, folder in run_folders(root).items())
    return sorted(filter(None, found), key=lambda one: (one["started"], one["name"]))


def _state(key: str, folder: Path, root: Path) -> RunState | None:
    try:
        record, facts, steps = record_of(folder), facts_of(folder), _steps(folder)
    except InputError as error:
        return _shown(key, folder, root, {"state": "damaged", "why": str(error)}, {})
    return None if facts.beside else _shown(key, folder, root, record, steps) | {"dataset": facts.dataset}


def _shown(key: str, folder: Path, root: Path, record: dict[str, Any], steps: dict) -> RunState:
    quiet, pace, last = _quiet(folder), _pace(steps), max(steps, default=None)
    state, why = standing(record, quiet, pace)
    total = record.get("steps")
    left = (total - last) * pace if state == "running" and pace and total and last is not None else None
    inside = folder.relative_to(root)
    return {
        "key": key, "name": str(inside) if inside.parts else folder.name, "recipe": record.get("recipe", ""),
        "dataset": "", "state": state, "why": why, "training": record.get("recipe") in TRAININGS or bool(steps),
        "step": last, "steps": total, "left": left, "quiet": quiet, "started": record.get("started", ""),
        "metrics": _stamp(folder / metrics_file.NAME), "rollouts": _stamp(folder / rollouts_file.FOLDER),
    }  # fmt: skip


def standing(record: dict[str, Any], quiet: float, pace: float | None) -> tuple[str, str]:
    """State and why. A run that says that it runs is believed if its process lives here, or, as it may be on another
    machine, while its files change."""
    said = record.get("state", "not recorded")
    if said != "running" or _lives(record):
        return said, record.get("why") or ""
    if record.get("host") == socket.gethostname():
        return "process gone", GONE
    return ("silent", QUIET) if quiet > max(SILENT, STEPS_SILENT * (pace or 0)) else ("running", "")


def _lives(record: dict[str, Any]) -> bool:
    """Whether a process of this machine has the run's number, and is not a later one that got the number again."""
    with suppress(psutil.Error, KeyError, TypeError, ValueError):
        process, started = psutil.Process(record["pid"]), datetime.fromisoformat(record["started"])
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= started.timestamp() + 1
    return False


def _quiet(folder: Path) -> float:
    """Seconds since a file of the run changed."""
    times = [0.0]
    for name in LIFE:
        with suppress(OSError):
            times.append((folder / name).stat().st_mtime)
    return max(0.0, time.time() - max(times))


def _pace(steps: dict[int, dict[str, float]]) -> float | None:
    """Seconds per step, its share of the validations included; None before the first step."""
    recent = [steps[step].get("timing_s/step") for step in sorted(steps) if "timing_s/step" in steps[step]][-RECENT:]
    tests = [metrics["timing_s/testing"] for metrics in steps.values() if "timing_s/testing" in metrics]
    known = [seconds for seconds in recent if seconds is not None]
    return fmean(known) + sum(tests) / len(steps) if known else None


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
        return f"{found.st_mtime_ns}-{found.st_size}-{len(os.listdir(path)) if path.is_dir() else 0}"
    except OSError:
        return ""


def _steps(folder: Path) -> dict[int, dict[str, float]]:
    return _read_steps(folder / metrics_file.NAME, _stamp(folder / metrics_file.NAME))


@lru_cache(maxsize=256)
def _read_steps(file: Path, stamp: str) -> dict[int, dict[str, float]]:
    """The steps of a file that has this stamp: a file that did not change is not read again."""
    return metrics_file.read_steps(file)
