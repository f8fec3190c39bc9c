"""Finds and counts the rows of a training: the files of a split, their repetition to fill a batch, the steps."""

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from omegaconf import DictConfig

from vrft_aug.data.rows.parquet_files import parquet_files
from vrft_aug.errors import InputError


def found_files(files: str | list[str]) -> list[str]:
    """Absolute paths of parquet files, with all shards of a file that preparation has cut. InputError: no rows."""
    named = [files] if isinstance(files, str) else files
    found = [str(path) for file in named for path in parquet_files(Path(file).resolve())]
    if empty := [file for file in found if not count_rows([file])]:
        raise InputError(f"{empty[0]} holds no rows: prepare again with a data set that has that split")
    return found


def count_rows(files: list[str]) -> int:
    """The rows of all files, from their metadata."""
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


def fill_batch(files: list[str], batch_size: int, say: Callable[[str], None]) -> list[str]:
    """The files, repeated until their rows fill a batch.

    verl drops an incomplete batch, and 10 images for each of two classes are fewer than the paper's batch of 256.
    """
    rows = count_rows(files)
    times = math.ceil(batch_size / rows)
    if times > 1:
        say(f"{rows} rows of {Path(files[0]).name} do not fill a batch of {batch_size}: each is used {times} times")
    return files * times


def count_steps(config: DictConfig, rows: int) -> int:
    """The number of steps: `trainer.total_training_steps`, or `trainer.total_epochs` if they end earlier.

    An epoch has rows // data.train_batch_size steps, since verl drops an incomplete batch. Raises InputError for 0.
    """
    epochs, steps = config.trainer.total_epochs, config.trainer.total_training_steps
    total = rows // config.data.train_batch_size * epochs
    total = total if steps is None else min(total, steps)
    if total < 1:
        raise InputError(f"{rows} rows, data.train_batch_size={config.data.train_batch_size}, trainer.total_epochs="
                         f"{epochs} and trainer.total_training_steps={steps} give no step: raise one")  # fmt: skip
    return total
