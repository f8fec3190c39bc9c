"""Writes and finds the parquet files of a split, which verl, pandas and `datasets` (with its Image feature) read."""

import hashlib
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


class ShardWriter:
    """Writes rows to `<folder>/<name>.parquet`, or to `<name>-00000.parquet`, ... beyond `shard_bytes` of images.

    It holds rows only until a row group is full, so memory does not grow with their number.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, shard_bytes: int):
        self.folder, self.name, self.shard_bytes = folder, name, shard_bytes
        self.schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features(schema)}})})
        self.shards: dict[Path, int] = {}  # with their numbers of rows
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
        self._writer.close()
        if len(self.shards) == 1:
            return [(self._path.rename(self.folder / f"{self.name}.parquet"), self.shards[self._path])]
        return list(self.shards.items())

    def _open(self) -> None:
        self._path = self.folder / f"{self.name}-{len(self.shards):05d}.parquet"
        self.shards[self._path] = 0
        self._writer = pq.ParquetWriter(self._path, self.schema)
        self._written_bytes = 0

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._written_bytes and self._written_bytes + self._pending_bytes > self.shard_bytes:
            self._writer.close()
            self._open()
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self.schema))
        self.shards[self._path] += len(self._pending)
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
