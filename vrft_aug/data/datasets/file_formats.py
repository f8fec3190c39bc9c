"""Recognises medical files by their first bytes, and reads them unpacked."""

import contextlib
import gzip
import zlib
from pathlib import Path
from typing import IO, cast

GZIP = b"\x1f\x8b"  # the first bytes of a gzip file
SHOWN = 200  # letters of a library's reason


def medical_format(content: bytes) -> str | None:
    """The name of a medical format that Pillow does not read, by the file's first bytes."""
    with contextlib.suppress(zlib.error):
        if content[:2] == GZIP:
            content = zlib.decompressobj(wbits=31).decompress(content, 400)
    if content[128:132] == b"DICM":
        return "DICOM"
    nifti = content[344:348] in (b"n+1\0", b"ni1\0") or content[4:8] in (b"n+2\0", b"ni2\0")
    return "NIfTI" if nifti else None


def unpacked(path: Path) -> IO[bytes]:
    """Open a file to read. A gzip file is unpacked while it is read."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def brief(reason: object) -> str:
    """What a library said, in one line of at most SHOWN letters."""
    return " ".join(str(reason).split())[:SHOWN]
