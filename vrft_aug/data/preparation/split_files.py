"""Writes the files of one split side by side, and notes in the journal when they have finished a shard."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from vrft_aug.data.preparation.journal import Done, Entry, Files, Journal
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.exports import EXPORTS
from vrft_aug.data.rows.parquet_files import GROUP_ROWS, ShardWriter
from vrft_aug.data.rows.schema import SFT, Row, rl_schema

Convert = Callable[[Row], Mapping[str, Any]]  # verl's row -> the row of another file
WHOLE = 1 << 60  # bytes of a file that is never divided


class SplitFiles:
    """The rows for verl, for supervised training and for another trainer, after those that are `done`.

    Verl's and the supervised rows have the same images, so their shards end at the same row: a shard is finished when
    both files of it are. The other trainer's file is never divided; it is written again from verl's finished rows.
    """

    def __init__(self, split: str, composer: Composer, journal: Journal, done: Done):
        self.split, self.journal, self.done = split, journal, done
        self.rows = self.noted = done.rows
        shard = composer.rule.shard_mb << 20
        kinds: list[tuple[str, Any, Convert]] = [(split, rl_schema(composer.record), lambda row: row)]
        if split != "test":
            kinds.append((f"sft_{split}", SFT, composer.sft))
        self.sharded = [(ShardWriter(journal.rows, name, schema, shard, of(name, done.files)), convert)
                        for name, schema, convert in kinds]  # fmt: skip
        self.writers = [*self.sharded, *self._export(composer.rule.export)]

    def _export(self, name: str | None) -> Iterator[tuple[ShardWriter, Convert]]:
        """The writer of another trainer's rows, with the finished ones; it reads one file per split."""
        if name is None:
            return
        writer = ShardWriter(self.journal.rows, f"{name}_{self.split}", EXPORTS[name].schema, WHOLE)
        for file in of(self.split, self.done.files):
            for row in rows_of(self.journal.rows / file):
                writer.write(EXPORTS[name].convert(row))
        yield writer, EXPORTS[name].convert

    def write(self, row: Row) -> None:
        for writer, convert in self.writers:
            writer.write(convert(row))
        self.rows += 1
        ends = {sum(facts["rows"] for facts in writer.files.values()) for writer, _ in self.sharded}
        if len(ends) == 1 and (end := ends.pop()) > self.noted:
            self._note(end, self.sharded, last=False)

    def close(self) -> None:
        """Finish all files of the split."""
        for writer, _ in self.writers:
            writer.close()
        self._note(self.rows, self.writers, last=True)

    def _note(self, end: int, writers: list[tuple[ShardWriter, Convert]], last: bool) -> None:
        written: Files = {name: facts for writer, _ in writers for name, facts in writer.files.items()}
        new = {name: facts for name, facts in written.items() if name not in self.done.files}
        self.journal.add(Entry(self.split, self.noted, end, new, last), self.done.facts)
        self.done.files |= new
        self.noted = end


def kind(file: str) -> str:
    """A file's name without its number: sft_train for sft_train-00003.parquet."""
    return re.sub(r"-\d{5}$", "", Path(file).stem)


def of(name: str, files: Files) -> Files:
    """Those of the files that are of a kind."""
    return {file: facts for file, facts in files.items() if kind(file) == name}


def by_kind(files: Files) -> Files:
    """The same files, kind by kind."""
    return {file: files[file] for name in dict.fromkeys(map(kind, files)) for file in of(name, files)}


def rows_of(file: Path) -> Iterator[Row]:
    for batch in pq.ParquetFile(file).iter_batches(GROUP_ROWS):
        yield from cast(list[Row], batch.to_pylist())
