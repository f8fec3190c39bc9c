"""Gives a table a Python whose processes have all imports done, so that its stages start at once.

Each stage is still a process and a run of its own, with its own folder, seed and log. If the server that makes the
processes is killed, the stage that runs fails, and the next one starts a new server.
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
    folder = tempfile.mkdtemp(prefix="vrft-")  # short, because a Unix socket lies in it
    try:
        os.environ[fork_python.FOLDER] = folder
        server = fork_python.start(folder, fork_python.RECIPES, environment=os.environ | environment_of(hardware))
        yield fork_python.write_command(folder)
    finally:
        shutil.rmtree(folder)  # so that a server that took its place ends, too
        del os.environ[fork_python.FOLDER]
        server.kill()
        server.wait()
