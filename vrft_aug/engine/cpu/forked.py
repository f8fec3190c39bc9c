"""Turns a fork of a server into the process that a client asked for: its files, its environment, its program."""

import fcntl
import os
import runpy
import sys
import tempfile
import types
from pathlib import Path

from vrft_aug.engine.cpu import spare


def become(request: dict) -> None:
    """Take over the client's file descriptors, environment and working folder."""
    spare.die_with_parent()
    above = max(request["fds"], default=0) + 1
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, max(above, 3)) for fd in request["received"]]
    for fd in request["received"]:
        os.close(fd)
    for fd, number in zip(moved, request["fds"], strict=True):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["env"])
    tempfile.tempdir = None  # an import may have asked for the folder, which TMPDIR names
    os.chdir(request["cwd"])


def execute(arguments: list[str]) -> None:
    """Do what `python <arguments>` does: run a script or the command after -c. Options have no effect."""
    while arguments[0].startswith("-") and arguments[0] != "-c":
        arguments = arguments[2 if arguments[0] in ("-X", "-W") else 1 :]
    sys.argv = arguments
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(arguments[1], main.__dict__)
    else:
        sys.path[0] = str(Path(arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")
