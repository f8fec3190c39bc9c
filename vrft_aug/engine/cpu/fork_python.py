"""Runs a script or `-c` command in a fork of a process that has already made the slow imports.

Ray and multiprocessing start this file in place of Python (see fork_server.py). On two cores a dozen processes that
each import torch, vLLM and verl need more than a minute and several gigabytes for it; forks of one process share both.
This file is the client: the process that was started, which stays beside its fork. To be small it uses only the
standard library and `python -SE`.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys

FOLDER = "VRFT_FORK_SERVER"  # environment variable; a short path, since the folder holds a Unix socket
RECIPES = "recipes"  # the forks of a server are the recipes of a table
RUN = "run"  # they are the workers of a run, which starts the server itself
SERVER_GONE = 75  # exit status: the server was killed, and with it the fork (EX_TEMPFAIL of sysexits.h: try again)
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> int:
    """Run `sys.argv[1:]` in a fork and return its exit status.

    The fork dies if this process is killed or the server ends. Other signals are forwarded to it.
    """
    server = connect(os.environ[FOLDER])
    descriptors = [int(fd) for fd in os.listdir("/proc/self/fd")]
    descriptors = [fd for fd in descriptors if fd != server.fileno() and os.path.lexists(f"/proc/self/fd/{fd}")]
    request = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "fds": descriptors}
    body = json.dumps(request).encode()
    socket.send_fds(server, [len(body).to_bytes(8, "big")], descriptors)
    server.sendall(body)
    try:
        pid = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "big")  # 0 if the server is gone
    except ConnectionError:
        pid = 0
    if not pid:
        return SERVER_GONE
    for number in FORWARDED:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    return status(server)


def status(server: socket.socket) -> int:
    """The exit status of the fork, when it has ended; SERVER_GONE if the server has ended, and the fork with it."""
    try:
        told = server.recv(8, socket.MSG_WAITALL)
    except ConnectionError:
        told = b""
    return int.from_bytes(told, "big") if told else SERVER_GONE


def connect(folder: str) -> socket.socket:
    """Connect to the folder's server; start it if this is the first client.

    Without the server of a run or a spare, a client starts it: Ray gives its workers another environment (with tokens).
    """
    client = socket.socket(socket.AF_UNIX)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            client.connect(os.path.join(folder, "socket"))
        except OSError:
            start(folder, *([RECIPES] if os.path.exists(os.path.join(folder, RECIPES)) else []))
            client.connect(os.path.join(folder, "socket"))
    return client


def start(folder: str, *kind: str) -> subprocess.Popen[bytes]:
    """Start a server, wait until it listens, and return it."""
    if RECIPES in kind:
        open(os.path.join(folder, RECIPES), "w").close()
    ready, report = os.pipe()
    command = [sys.executable, "-m", "vrft_aug.engine.cpu.fork_server", folder, str(report), *kind]
    server = subprocess.Popen(command, pass_fds=[report], start_new_session=True, stdin=subprocess.DEVNULL)
    os.close(report)
    select.select([ready], [], [])
    os.close(ready)
    return server


def command(folder: str) -> str:
    """The path of the executable that stands in for Python in a server's folder."""
    return os.path.join(folder, "python")


def write_command(folder: str) -> str:
    """Write that executable; the folder belongs to one run, or to one table. Returns its path."""
    with open(path := command(folder), "w", opener=lambda name, flags: os.open(name, flags, 0o700)) as script:
        script.write(f'#!/bin/sh\nexec "{sys.executable}" -SE "{os.path.abspath(__file__)}" "$@"\n')
    return path


if __name__ == "__main__":
    sys.exit(main())
