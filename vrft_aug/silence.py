"""Drops what a process writes to its output or error stream, also from libraries in C, which Python cannot redirect."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

OUTPUT, ERRORS = 1, 2  # the numbers of the streams of every process


@contextmanager
def silent(*streams: int) -> Iterator[None]:
    """Show nothing of what is written to the streams inside the block."""
    kept = [os.dup(stream) for stream in streams]
    try:
        with open(os.devnull, "wb") as nowhere:
            for stream in streams:
                os.dup2(nowhere.fileno(), stream)
        yield
    finally:
        for stream, copy in zip(streams, kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
