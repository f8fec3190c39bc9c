"""Writes files whole: whoever reads one finds the earlier content or the new one, never half of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`. It takes the place of `path` when the block ends well, and is removed if not."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text (UTF-8) or bytes."""
    with replacing(path) as part:
        part.write_bytes(content if isinstance(content, bytes) else content.encode())
