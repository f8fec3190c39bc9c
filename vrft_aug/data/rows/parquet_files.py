"""Writes and finds the parquet files of a split, which verl, pandas and `datasets` (with its Image feature) read."""

import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vrft_aug.data.datasets.sample import SPLITS
from vrft_aug.errors import InputError

GROUP_ROWS = 512
GROUP_BYTES = 16 << 20


class HashedFile(io.RawIOBase):
    """A new file that computes its SHA-256 while it is written, so that nobody must read it again."""

    def __init__(self, path: Path):
        self._file, self._hash, self._size = path.open("wb"), hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        self._file.close()
        super().close()

    def describe(self) -> dict[str, Any]:
        return {"bytes": self._size, "sha256": self._hash.hexdigest()}


class ShardWriter:
    """Writes rows to `<folder>/<name>.parquet`, or to `<name>-00000.parquet`, ... beyond `shard_bytes` of images.

    It holds rows only until a row group is full, so memory does not grow with their number.
    files: rows, bytes and checksum of each finished file, by name. finished: those of an interrupted writer of the same
    rows, after which it goes on.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, shard_bytes: int,
                 finished: Mapping[str, dict[str, Any]] | None = None):  # fmt: skip
        self.folder, self.name, self.shard_bytes = folder, name, shard_bytes
        self.schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features(schema)}})})
        self.files: dict[str, dict[str, Any]] = dict(finished or {})
        self._pending: list[Mapping[str, Any]] = []
        self._pending_bytes = 0
        self._open()

    def write(self, row: Mapping[str, Any]) -> None:
        self._pending.append(row)
        self._pending_bytes += sum(len(image["bytes"]) for image in row["images"])
        if len(self._pending) == GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> list[tuple[Path, int]]:
        """Finish the last shard; returns path and number of rows of each. A single shard has no number in its name."""
        self._flush()
        self._finish()
        if len(self.files) == 1:
            [(name, facts)] = self.files.items()
            (self.folder / name).rename(self.folder / f"{self.name}.parquet")
            self.files = {f"{self.name}.parquet": facts}
        return [(self.folder / name, facts["rows"]) for name, facts in self.files.items()]

    def _open(self) -> None:
        self._path = self.folder / f"{self.name}-{len(self.files):05d}.parquet"
        self._file = HashedFile(self._path)
        self._writer = pq.ParquetWriter(self._file, self.schema)
        self._rows = self._written_bytes = 0

    def _finish(self) -> None:
        self._writer.close()
        self._file.close()
        self.files[self._path.name] = {"rows": self._rows} | self._file.describe()

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._written_bytes and self._written_bytes + self._pending_bytes > self.shard_bytes:
            self._finish()
            self._open()
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self.schema))
        self._rows += len(self._pending)
        self._written_bytes += self._pending_bytes
        self._pending, self._pending_bytes = [], 0


def features(kind: pa.Schema | pa.DataType) -> Any:
    """The `datasets` features of an arrow schema. A struct of `bytes` and `path` becomes an Image."""
    if isinstance(kind, pa.Schema):
        return {column.name: features(column.type) for column in kind}
    if pa.types.is_list(kind):
        return {"feature": features(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        inner = {child.name: features(child.type) for child in kind.fields}
        return {"_type": "Image"} if set(inner) == {"bytes", "path"} else inner
    return {"dtype": str(kind), "_type": "Value"}


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parquet_files(file: Path) -> list[Path]:
    """`file` itself (`<folder>/<split>.parquet`), or its shards `<split>-00000.parquet`, ... in order.

    Raises InputError, which lists the splits that exist, if there are no such files.
    """
    found = [file] if file.is_file() else sorted(file.parent.glob(f"{file.stem}-?????.parquet"))
    if not found and (splits := splits_in(file.parent)):
        raise InputError(f"{file} does not exist: the splits in this folder are {', '.join(splits)}; name one of them")
    if not found:
        raise InputError(f"{file} does not exist: run recipes/prepare.py first, or name the folder that it wrote")
    return found


def splits_in(folder: Path) -> list[str]:
    """The splits whose files are in a folder."""
    names = {re.sub(r"-\d{5}$", "", path.stem) for path in folder.glob("*.parquet")}
    return [split for split in SPLITS if split in names]
