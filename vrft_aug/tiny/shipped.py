"""Finds the tiny policy that is part of the package, and checks that its files are those that were built."""

import hashlib
import json
from pathlib import Path

from vrft_aug.errors import InputError

FOLDER = Path(__file__).with_name("policy")
RECORD = "build.json"  # how the policy was built, what it can do, and the checksum of each file
SHIPPED = "qwen2_5_vl"  # the architecture of the policy in FOLDER


def folder() -> str:
    """The folder of the tiny policy in Hugging Face form. Raises InputError if a file is missing or was changed."""
    check(FOLDER)
    return str(FOLDER)


def check(policy: Path) -> None:
    """Raises InputError unless each file has the checksum of the build record."""
    try:
        sums = json.loads((policy / RECORD).read_text(encoding="utf-8"))["sha256"]
        wrong = [name for name, checksum in sums.items() if sha256(policy / name) != checksum]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{policy}: the tiny policy is incomplete ({error}); {REMEDY}") from None
    if wrong:
        raise InputError(f"{policy / wrong[0]}: the checksum is not that of {RECORD}; {REMEDY}")


REMEDY = "install the package again, or build the policy again with `make policy` (36 minutes)"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
