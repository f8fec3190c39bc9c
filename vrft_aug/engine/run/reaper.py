"""Cleans up after a run, however it ended: ends its processes, removes its shared memory and its temporary files.

Nothing inside a run survives SIGKILL or a lack of memory. So this is a separate process in a separate session, which
run_folder.py starts:  python -P reaper.py <process id of the run> <its folder> <its temporary folder>

It records which processes descend from the run, because the process tree is lost when its root dies, and which shared
memory they hold, because segments of vLLM and verl survive their processes.
"""

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

import psutil

from vrft_aug.files import write_whole

POLL_SECONDS = 0.5
SEGMENT_SECONDS = 0.05  # verl's weights are in shared memory for some tenths of a second per step
DEATH_SECONDS = 10  # from SIGKILL to the end of a process
SHARED_MEMORY = Path("/dev/shm")


def main(pid: int, folder: Path, scratch: Path) -> None:
    """Wait for the end of the process `pid`, and clean up after it."""
    family: set[psutil.Process] = set()
    segments = Segments()
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        family, gone = {psutil.Process(pid)}, os.pidfd_open(pid)
        ended, looked = False, 0.0
        while not ended:
            ended = bool(select.select([gone], [], [], SEGMENT_SECONDS)[0])
            if ended or segments.are_new() or time.monotonic() - looked > POLL_SECONDS:
                looked = time.monotonic()
                family |= relatives(family)
                segments.look(family)
    end(family, segments)
    clean(family, pid, scratch)
    account(pid, folder)


class Segments:
    """Shared memory that the processes of a family hold or held; segments that existed before do not count.

    Each new segment is searched for once, in the open files of all processes: the process that makes it has it open.
    """

    def __init__(self) -> None:
        self.held: set[Path] = set()
        self._known = set(os.listdir(SHARED_MEMORY))

    def are_new(self) -> bool:
        return not self._known.issuperset(os.listdir(SHARED_MEMORY))

    def look(self, family: set[psutil.Process]) -> None:
        if new := set(os.listdir(SHARED_MEMORY)) - self._known:
            self.held |= {path for process in family for path in shared_memory(process) if path.name in new}
            self._known |= new


def relatives(family: set[psutil.Process]) -> set[psutil.Process]:
    """All processes that descend from a living member of `family`; psutil tells reused process ids apart."""
    numbers = {process.pid for process in family if lives(process)}
    found = set()
    for _, parent, process in sorted(_all_processes(), key=itemgetter(0)):
        if parent in numbers and process.pid != os.getpid():
            numbers.add(process.pid)
            found.add(process)
    return found


def _all_processes() -> Iterator[tuple[float, int, psutil.Process]]:
    """When each process started, its parent's number, and itself. `process.info` is not read: the processes are shared
    by all threads, and Ray looks for a cluster with other attributes while a training is watched."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            yield process.create_time(), process.ppid(), process


def end(family: set[psutil.Process], segments: Segments) -> None:
    """Kill the living processes of a family and their descendants, and remove the shared memory that they held."""
    left = {process for process in family | relatives(family) if lives(process)}
    _signal(left, signal.SIGSTOP)  # so that no process makes a segment that we do not see
    segments.look(left)
    _signal(left, signal.SIGKILL)
    deadline = time.monotonic() + DEATH_SECONDS
    while any(map(lives, left)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for path in segments.held:
        path.unlink(missing_ok=True)


def _signal(processes: set[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def lives(process: psutil.Process) -> bool:
    """Whether any of its threads runs. A zombie keeps its ports and files until its last thread has ended."""
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def shared_memory(process: psutil.Process) -> set[Path]:
    """The segments that a process has open."""
    try:
        files = {Path(file.path) for file in process.open_files()}
    except psutil.Error:
        return set()
    return {path for path in files if path.parent == SHARED_MEMORY}


def clean(family: set[psutil.Process], run: int, scratch: Path) -> None:
    """Remove the semaphores, sockets and temporary files of a run whose processes have ended."""
    semaphores = {path for process in family for path in SHARED_MEMORY.glob(f"sem.*-{process.pid}-*")}  # loky's
    sockets = Path("/tmp").glob(f"rl-colocate-zmq-{run.to_bytes(4, 'little').hex()}-*")  # verl's: see ray_cluster.py
    for path in (*semaphores, *sockets):
        path.unlink(missing_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)


def utc() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def account(pid: int, folder: Path) -> None:
    """Complete run.json if the process `pid` could not, and print the reason on its terminal."""
    file = folder / "run.json"
    record = json.loads(file.read_text()) if file.is_file() else {}
    if record.get("pid") != pid or record.get("state") != "running":
        return
    why = "its process was killed, by a person or by the system for lack of memory"
    record |= {"state": "failed", "why": why, "ended": utc()}
    write_whole(file, json.dumps(record, indent=2) + "\n")
    print(f"error: {record['recipe']} failed: {why} (log: {folder / 'log.txt'})", file=sys.stderr)


# The fork makes this process no descendant of the run, so that a program that ends the run's process tree spares it.
if __name__ == "__main__" and os.fork() == 0:
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
