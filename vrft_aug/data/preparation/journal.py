"""Notes the finished files of a preparation, so that an interrupted one continues after them when it starts again.

The journal lies beside the rows in the folder `.partial` of the output: `journal.jsonl` has one line per finished shard
of a split, and `facts/` what was found out about its images. Its first line is a key: a checksum of the settings, the
sources, the drawn images and the code. With another key a preparation starts anew. A shard whose files are not as they
were noted, or whose images have changed since, is written again, and so are those after it in its split.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.image_facts import FactsOfImages, stamp
from vrft_aug.data.rows.parquet_files import sha256

Files = dict[str, dict[str, Any]]  # rows, bytes and checksum of each file, by name
DECISION = "leakage.json"  # what `leakage=drop` leaves out (leak_free.py)
LIBRARIES = ("numpy", "pillow", "pyarrow")  # on which the bytes of the files depend


@dataclass
class Entry:
    """One finished shard of a split. start, end: of its rows. files: what was finished with it. last: of its split."""

    split: str
    start: int
    end: int
    files: Files
    last: bool

    @property
    def facts(self) -> str:
        return f"{self.split}-{self.start}.parquet"


@dataclass
class Done:
    """What is finished of a split: its rows, its files, the facts of its images, and whether that is all of it."""

    rows: int = 0
    files: Files = field(default_factory=dict)
    facts: FactsOfImages = field(default_factory=FactsOfImages)
    complete: bool = False


def key_of(facts: Mapping[str, Any], arrays: Iterable[NDArray[Any]]) -> str:
    """The key of a preparation. facts: its settings, sources and code, as JSON can hold them. arrays: what is drawn."""
    versions = {name: version(name) for name in LIBRARIES}
    whole = hashlib.sha256(json.dumps([facts, versions], sort_keys=True).encode())
    for one in arrays:
        whole.update(f"{len(one)} ".encode() + one.tobytes())
    return whole.hexdigest()


def holds_work(folder: Path) -> bool:
    """Whether an interrupted preparation has finished something in `folder`."""
    file = folder / "journal.jsonl"
    return (folder / DECISION).exists() or (file.exists() and file.read_bytes().count(b"\n") > 1)


class Journal:
    """The journal in `folder`. key: see above."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.rows, self.key = folder, folder / "rows", key
        self._file, self._facts = folder / "journal.jsonl", folder / "facts"
        found = self._read()
        self.entries = [Entry(**line) for line in found[1:]] if found[:1] == [{"key": key}] else []
        if not self.entries:
            for path in (self.rows, self._facts):
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir(parents=True)
        self._write()

    def finished(self, split: str, samples: Callable[[int], Iterable[Sample]]) -> Done:
        """What is finished of a split and still as it was noted. samples: a number -> the first samples of the split.

        Files that are not finished are deleted.
        """
        entries, done = [entry for entry in self.entries if entry.split == split], Done()
        stream = iter(samples(entries[-1].end) if entries else ())
        for entry in entries:
            if not self._is_whole(entry, islice(stream, entry.end - entry.start)):
                break
            done.facts.load(self._facts / entry.facts)
            done = Done(entry.end, done.files | entry.files, done.facts, entry.last)
        self.entries = [entry for entry in self.entries if entry.split != split or entry.end <= done.rows]
        self._write()
        noted = set().union(*(entry.files for entry in self.entries))
        for path in self.rows.iterdir():
            if path.name not in noted:
                path.unlink()
        return done

    def add(self, entry: Entry, facts: FactsOfImages) -> None:
        """Note a shard whose files are closed."""
        facts.save(self._facts / entry.facts, entry.start, entry.end)
        self.entries.append(entry)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")

    def _is_whole(self, entry: Entry, samples: Iterable[Sample]) -> bool:
        """Whether the files of an entry and its images are as they were."""
        facts = FactsOfImages()
        try:
            facts.load(self._facts / entry.facts)
            if any(sha256(self.rows / name) != known["sha256"] for name, known in entry.files.items()):
                return False
            return all(stamp(sample) == one.stamp for sample, one in zip(samples, facts.rows(), strict=True))
        except (OSError, ValueError):  # a file is missing, or cut off where the machine stopped
            return False

    def _read(self) -> list[dict[str, Any]]:
        """The lines of the file; the last may be cut off."""
        lines = []
        try:
            for line in self._file.read_text(encoding="utf-8").splitlines():
                lines.append(json.loads(line))
        except (FileNotFoundError, ValueError):
            pass
        return lines

    def _write(self) -> None:
        lines = [{"key": self.key}, *map(asdict, self.entries)]
        part = self._file.with_suffix(".new")
        part.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        part.replace(self._file)
