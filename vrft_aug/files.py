"""Writes files atomically: a reader sees the old content or the new one, never half of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path. Its file replaces `path` if the block ends without an error, and is removed otherwise."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text (as UTF-8) or bytes to `path` atomically."""
    with replacing(path) as part:
        part.write_bytes(content if isinstance(content, bytes) else content.encode())
