"""Keeps a spare process beside a recipe: a fork, with all imports done, that can become the fork server of its run.

A table of experiments starts its recipes as forks of one server (fork_server.py). The processes of a run must descend
from the run, which finds and ends them so. Thus they cannot be forks of the table's server; they are forks of the
spare, which the recipe gets before it has threads or computes anything.
"""

import ctypes
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
_spare: socket.socket | None = None  # connects the recipe with its spare; None: it has none


def die_with_parent() -> None:
    """Let the system kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def keep() -> Path | None:
    """Fork the spare. Returns None in this process; in the spare, later, the folder of the run that it is to serve."""
    global _spare
    here, there = socket.socketpair()
    if os.fork():
        there.close()
        _spare = here
        return None
    here.close()
    die_with_parent()
    folder = there.recv(4096).decode()
    if not folder:  # the recipe has ended without a need
        os._exit(0)
    return Path(folder)


def kept() -> bool:
    """Whether this process has a spare."""
    return _spare is not None


def serve(folder: Path) -> None:
    """Tell the spare, if there is one, to serve a run's folder. Without it the run's first worker starts a server."""
    global _spare
    if _spare:
        with suppress(OSError), _spare as spare:  # the spare was killed
            spare.sendall(os.fsencode(folder))
        _spare = None
