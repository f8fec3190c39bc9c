"""Gives a table a Python whose processes have all imports done, so that its stages start at once.

Each stage is still a process and a run of its own, with its own folder, seed and log. If the server that makes the
processes is killed, the stages that run end with it; runner.py starts them again, and the first starts a new server.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from vrft_aug.engine.cpu import fork_python
from vrft_aug.engine.run.preflight import environment_of


@contextmanager
def warm_python(hardware: DictConfig) -> Iterator[str]:
    """The command that starts a recipe: with `hardware.ray.fork`, and a Ray cluster per run, it forks a server."""
    if not hardware.ray.fork or hardware.ray.address != "local":
        yield sys.executable
        return
    folder, before = tempfile.mkdtemp(prefix="vrft-"), dict(os.environ)  # short, because a Unix socket lies in it
    server = None
    try:
        os.environ.update(environment_of(hardware) | {fork_python.FOLDER: folder})  # of each server's imports
        server = fork_python.start(folder, fork_python.RECIPES)
        yield fork_python.write_command(folder)
    finally:
        shutil.rmtree(folder)  # so that a server that took its place ends, too
        if server:
            server.kill()
            server.wait()
        os.environ.clear()
        os.environ.update(before)
