"""Finds the parquet files of a split: one file, or the shards of a large one."""

from pathlib import Path

from vrft_aug.errors import InputError


def parquet_files(file: Path) -> list[Path]:
    """`file` itself (`<folder>/<split>.parquet`), or its shards `<split>-00000.parquet`, ... in order.

    Raises InputError if neither exists.
    """
    found = [file] if file.is_file() else sorted(file.parent.glob(f"{file.stem}-?????.parquet"))
    if not found:
        raise InputError(f"{file} does not exist: run recipes/prepare.py first, or name the folder that it wrote")
    return found
