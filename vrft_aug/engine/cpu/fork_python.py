"""An interpreter whose imports are done: runs a script or `-c` command in a fork of a process that has made them.

Ray and multiprocessing start it in place of Python (fork_server.py says how). On two cores a dozen processes that each
import torch, vLLM and verl need more than a minute and several gigabytes for it; forks of one share both. This file is
the client: standard library alone and `python -SE`, since it stays beside each process as the one that was started.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys

FOLDER = "VRFT_FORK_SERVER"  # environment variable: a short path, for it holds a Unix socket
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> int:
    """Run `sys.argv[1:]` in a fork and return its exit status. Killing this process kills the fork, and so does the
    server's end; other signals are handed on."""
    server = connect(os.environ[FOLDER])
    descriptors = [int(fd) for fd in os.listdir("/proc/self/fd")]
    descriptors = [fd for fd in descriptors if fd != server.fileno() and _is_open(fd)]
    request = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "fds": descriptors}
    body = json.dumps(request).encode()
    socket.send_fds(server, [len(body).to_bytes(8, "big")], descriptors)
    server.sendall(body)
    pid = int.from_bytes(_read(server), "big")
    for number in FORWARDED:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    status = int.from_bytes(_read(server), "big")
    return status if pid else 1


def connect(folder: str) -> socket.socket:
    """A connection to the folder's server, which the first process to need it starts.

    It is started from here, not by the driver, because Ray gives its workers an environment of their own (tokens).
    """
    client = socket.socket(socket.AF_UNIX)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            client.connect(os.path.join(folder, "socket"))
        except OSError:
            ready, report = os.pipe()
            command = [sys.executable, "-m", "vrft_aug.engine.cpu.fork_server", folder, str(report)]
            subprocess.Popen(command, pass_fds=[report], start_new_session=True, stdin=subprocess.DEVNULL)
            os.close(report)
            select.select([ready], [], [])
            client.connect(os.path.join(folder, "socket"))
    return client


def _read(server: socket.socket) -> bytes:
    """Eight bytes; empty where the server is gone."""
    received = b""
    while len(received) < 8 and (more := server.recv(8 - len(received))):
        received += more
    return received


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False  # it was the listing's own
    return True


if __name__ == "__main__":
    sys.exit(main())
