"""Builds a tiny policy that is not part of the package on its first use, by a short training, and keeps it in a cache.

The cache is $XDG_CACHE_HOME/vrft_aug, or ~/.cache/vrft_aug. The name of a policy's folder there has a checksum of the
code that builds it, so that other code builds its own.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from vrft_aug.errors import InputError
from vrft_aug.tiny import shipped

SOURCES = Path(__file__).parent
LINES = 3  # of the build's output that an error shows


def folder(architecture: str) -> str:
    """The folder of the policy in Hugging Face form; it is built if it is missing or incomplete.

    architecture: one of vrft_aug/tiny/architectures.py. Raises InputError if the build fails.
    """
    target = cache() / f"tiny-{architecture}-{_fingerprint()}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building it
        try:
            shipped.check(target)
        except InputError:
            _build(architecture, target)
    return str(target)


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vrft_aug"


def _fingerprint() -> str:
    files = [*sorted(SOURCES.glob("*.py")), SOURCES / "corpus.json"]
    parts = [shipped.sha256(file) for file in files] + [version("torch"), version("transformers")]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def _build(architecture: str, target: Path) -> None:
    """In a process of its own, whose threads and memory end with it."""
    print(f"tiny policy: the first use builds {target} by a short training; later uses find it there", flush=True)
    command = [sys.executable, "-m", "vrft_aug.tiny.build", "--architecture", architecture, "--short", "--out"]
    done = subprocess.run([*command, str(target)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = " | ".join(done.stdout.strip().splitlines()[-LINES:])
        raise InputError(f"{target}: the tiny policy could not be built: {said}")
