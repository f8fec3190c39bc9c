"""Remembers what is in a run's folder before the run, so that a refused run leaves the folder as it was."""

import json
import os
from pathlib import Path
from typing import Any

CONFIG, RECORD, LOG, LOCK = "config.yaml", "run.json", "log.txt", ".lock"  # the files that every run writes
OWN = {CONFIG, RECORD, LOG, LOCK}


class Snapshot:
    """The files of OWN in a folder, which may not exist yet. Make it before the run makes folder and lock."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._new_folders = [place for place in (folder, *folder.parents) if not place.exists()]  # the deepest first
        self._had_lock = (folder / LOCK).exists()

    def read(self) -> None:
        """Remember the contents. Call it when the folder is locked, so that no other run changes them."""
        self._names = {path.name for path in self._folder.iterdir()} - (set() if self._had_lock else {LOCK})
        files = {name: self._folder / name for name in (CONFIG, RECORD)}
        self._contents = {name: file.read_bytes() for name, file in files.items() if file.is_file()}
        log = self._folder / LOG
        self._log_bytes = log.stat().st_size if log.is_file() else 0

    @property
    def record(self) -> dict[str, Any]:
        """The earlier run's run.json; empty without one."""
        try:
            return dict(json.loads(self._contents.get(RECORD, b"{}")))
        except ValueError:  # a full disk cut it
            return {}

    def has_new_work(self) -> bool:
        """Whether the first run in this folder has put more there than every run does, as checkpoints."""
        now = {path.name for path in self._folder.iterdir()}
        return not self._contents and bool(now - self._names - OWN)

    def restore(self) -> None:
        """Undo what the run wrote to the files of OWN, and remove the folders that were made for it."""
        for name, content in self._contents.items():
            (self._folder / name).write_bytes(content)
        if LOG in self._names:
            os.truncate(self._folder / LOG, self._log_bytes)
        for name in OWN - self._names:
            (self._folder / name).unlink(missing_ok=True)
        for folder in self._new_folders:
            folder.rmdir()  # fails, and keeps the folders above, if something else is in it
