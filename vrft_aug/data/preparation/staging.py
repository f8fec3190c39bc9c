"""Gives a preparation its working folder, and moves the finished files into the output folder at the end."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from vrft_aug.data.preparation.journal import holds_work
from vrft_aug.data.preparation.opening import ProcessEnded
from vrft_aug.errors import InputError


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """The folder `.partial` inside `out`, which no other preparation may use at the same time.

    The files in its folder `rows` replace those of an earlier run after a success, the manifest last. After bad input
    `out` is as it was. What interrupts a preparation, as Ctrl-C or a full disk, leaves the folder to the next one.
    """
    stage = out / ".partial"
    try:
        existed = out.exists() and [*out.iterdir()] != [stage]  # or an interrupted preparation made it
        stage.mkdir(parents=True, exist_ok=True)
        lock = (stage / "lock").open("w")
    except OSError as error:
        raise InputError(f"out={out}: cannot be written ({error}); name another folder") from None
    with lock:
        claim(lock, out)
        keep = False
        try:
            yield stage
            publish(stage / "rows", out)
        except BaseException as error:
            keep = holds_work(stage) and (isinstance(error, ProcessEnded) or not isinstance(error, InputError))
            raise
        finally:
            if not keep:
                shutil.rmtree(stage, ignore_errors=True)
            if not existed and not any(out.iterdir()):
                out.rmdir()


def claim(lock: TextIO, out: Path) -> None:
    """Lock the folder until `lock` is closed or this process ends. Raises InputError if another process has it."""
    with suppress(ImportError):  # Windows has no fcntl
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"out={out} is in use by another preparation: wait, or choose another out") from None


def publish(rows: Path, out: Path) -> None:
    """Replace the files of the manifest in `out` by those in `rows`."""
    manifest = out / "manifest.json"
    if manifest.exists():
        for name in json.loads(manifest.read_text(encoding="utf-8")).get("files", {}):
            (out / Path(name).name).unlink(missing_ok=True)
        manifest.unlink()
    for path in sorted(rows.iterdir(), key=lambda path: path.name == "manifest.json"):
        path.replace(out / path.name)
