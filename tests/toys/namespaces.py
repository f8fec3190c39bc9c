"""Runs commands in new Linux namespaces, with a full disk or without a network."""

import shutil
import subprocess
from pathlib import Path

import pytest


def namespace(*options: str) -> list[str]:
    """A command that runs what follows it in new namespaces. Skips the test if the machine does not allow them."""
    command = ["unshare", "--map-root-user", *options]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not allow new namespaces")
    return command


def on_tmpfs(folder: Path, megabytes: int, *options: str) -> list[str]:
    """A command that runs what follows it with a small disk, in memory, in place of `folder`."""
    mount = f'mount -t tmpfs -o {",".join([f"size={megabytes}m", *options])} tmpfs {folder} && exec "$@"'
    return [*namespace("--mount"), "sh", "-c", mount, "sh"]
