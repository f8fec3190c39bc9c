"""Commands inside Linux namespaces of their own: a full disk, a missing network."""

import shutil
import subprocess
from pathlib import Path

import pytest


def namespace(*options: str) -> list[str]:
    """A command that runs what follows it in namespaces of its own, or a skip where that is not allowed."""
    command = ["unshare", "--map-root-user", *options]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no namespaces of one's own")
    return command


def on_tmpfs(folder: Path, megabytes: int, *options: str) -> list[str]:
    mount = f'mount -t tmpfs -o {",".join([f"size={megabytes}m", *options])} tmpfs {folder} && exec "$@"'
    return [*namespace("--mount"), "sh", "-c", mount, "sh"]
