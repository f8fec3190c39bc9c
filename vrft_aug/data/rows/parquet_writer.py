"""Rows to parquet shards that verl, pandas and Hugging Face `datasets` (with its Image feature) read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 512
GROUP_BYTES = 16 << 20


class ShardWriter:
    """Writes rows to `<folder>/<name>.parquet`, or to `<name>-00000.parquet`, ... beyond `shard_bytes` of images.

    Rows are held only until a row group is full, so memory does not grow with their number.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, shard_bytes: int):
        self.folder, self.name, self.shard_bytes = folder, name, shard_bytes
        self.schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features(schema)}})})
        self.paths: list[Path] = []
        self.rows: list[int] = []
        self._pending: list[Mapping[str, Any]] = []
        self._pending_bytes = self._written_bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, row: Mapping[str, Any]) -> None:
        self._pending.append(row)
        self._pending_bytes += sum(len(image["bytes"]) for image in row["images"])
        if len(self._pending) == GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> list[tuple[Path, int]]:
        """Finish the last shard; returns the path and the number of rows of each. A single shard loses its number."""
        self._flush()
        if self._writer is None:  # no row at all: still a valid file
            self._open()
        self._writer.close()
        if len(self.paths) == 1:
            self.paths = [self.paths[0].rename(self.folder / f"{self.name}.parquet")]
        return list(zip(self.paths, self.rows, strict=True))

    def _open(self) -> None:
        path = self.folder / f"{self.name}-{len(self.paths):05d}.parquet"
        self.paths.append(path)
        self.rows.append(0)
        self._writer = pq.ParquetWriter(path, self.schema)
        self._written_bytes = 0

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer and self._written_bytes + self._pending_bytes > self.shard_bytes:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._open()
        self._writer.write_table(to_table(self._pending, self.schema))
        self.rows[-1] += len(self._pending)
        self._written_bytes += self._pending_bytes
        self._pending, self._pending_bytes = [], 0


def to_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as an arrow table."""
    columns = [to_array([row[column.name] for row in rows], column.type) for column in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as an arrow array. Lists that many rows share (messages, classes, knowledge) are converted once; a tuple
    (image, sizes, box) is its row's own."""
    if pa.types.is_struct(kind):
        children = [to_array([value[child.name] for value in values], child.type) for child in kind.fields]
        return pa.StructArray.from_arrays(children, fields=kind.fields)
    shared = pa.types.is_list(kind) and isinstance(values[0], list)
    different = {id(value): value for value in values} if shared else values
    if len(different) == len(values):
        return pa.array(values, kind)
    place = {key: i for i, key in enumerate(different)}
    return pa.array(list(different.values()), kind).take(pa.array([place[id(value)] for value in values]))


def features(kind: pa.Schema | pa.DataType) -> Any:
    """The `datasets` features of an arrow schema; the struct of `bytes` and `path` is an Image."""
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
