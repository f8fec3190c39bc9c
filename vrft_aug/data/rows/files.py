"""Finds the parquet files of a split: one file, or the shards into which preparation has cut it."""

from pathlib import Path

from vrft_aug.errors import InputError


def parquet_files(file: Path) -> list[Path]:
    """`file` itself, `<folder>/<split>.parquet`, or where it does not exist its shards `<split>-00000.parquet`, ...

    Raises InputError where there is neither.
    """
    found = [file] if file.is_file() else sorted(file.parent.glob(f"{file.stem}-?????.parquet"))
    if not found:
        raise InputError(f"{file} does not exist: run recipes/prepare.py first, or set parquet=<its out folder>")
    return found
