"""Ends what a run leaves, however it ended: its processes, its shared memory, its temporary files.

Nothing inside a run outlives SIGKILL or a lack of memory, so this is a process of its own, in a session of its own,
that run_folder.py starts:  python reaper.py <pid of the run> <its folder> <its temporary folder>

It remembers what descended from the run, since the tree is lost with its root, and which shared memory they held,
since vLLM's and verl's outlive them. When the run's process is gone it ends the rest, and finishes the run.json of a
run that could not do so itself.
"""

import json
import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

POLL_SECONDS = 0.5
SEGMENT_SECONDS = 0.05  # verl's weights lie in shared memory for some tenths of a second a step
DEATH_SECONDS = 10  # from SIGKILL to the end of a process
SHARED_MEMORY = Path("/dev/shm")


def main(pid: int, folder: Path, scratch: Path) -> None:
    family, segments = set(), Segments()
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        family, gone = {psutil.Process(pid)}, os.pidfd_open(pid)
        ended, looked = False, 0.0
        while not ended:
            ended = select.select([gone], [], [], SEGMENT_SECONDS)[0]
            if ended or segments.are_new() or time.monotonic() - looked > POLL_SECONDS:
                looked = time.monotonic()
                family |= relatives(family)
                segments.look(family)
    end(family, segments)
    clean(family, pid, scratch)
    account(pid, folder)


class Segments:
    """Shared memory that processes of a family hold or held, of what was not there before. Open files are looked
    through only where there are new segments, and once, since who makes one has it open."""

    def __init__(self):
        self.held: set[Path] = set()
        self._known = set(os.listdir(SHARED_MEMORY))

    def are_new(self) -> bool:
        return not self._known.issuperset(os.listdir(SHARED_MEMORY))

    def look(self, family: set[psutil.Process]) -> None:
        if new := set(os.listdir(SHARED_MEMORY)) - self._known:
            self.held |= {path for process in family for path in shared_memory(process) if path.name in new}
            self._known |= new


def relatives(family: set[psutil.Process]) -> set[psutil.Process]:
    """All processes that descend from a living member of `family`; a Process equals none that gets its number later."""
    numbers = {process.pid for process in family if lives(process)}
    found = set()
    for process in sorted(psutil.process_iter(["ppid", "create_time"]), key=lambda p: p.info["create_time"] or 0):
        if process.info["ppid"] in numbers and process.pid != os.getpid():
            numbers.add(process.pid)
            found.add(process)
    return found


def end(family: set[psutil.Process], segments: Segments) -> None:
    """Kill what still runs of a family and its descendants, and remove the shared memory that they held: orphans of a
    dead run have nothing left to save."""
    left = {process for process in family | relatives(family) if lives(process)}
    _signal(left, signal.SIGSTOP)  # so that none makes a segment that is not seen
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
    """Whether any of its threads runs: a zombie has its ports and files until the last one is gone."""
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def shared_memory(process: psutil.Process) -> set[Path]:
    """Segments that a process has open."""
    try:
        files = {Path(file.path) for file in process.open_files()}
    except psutil.Error:
        return set()
    return {path for path in files if path.parent == SHARED_MEMORY}


def clean(family: set[psutil.Process], run: int, scratch: Path) -> None:
    """Remove semaphores, sockets and temporary files that no process of the run is left to remove."""
    semaphores = {path for process in family for path in SHARED_MEMORY.glob(f"sem.*-{process.pid}-*")}  # loky's
    sockets = Path("/tmp").glob(f"rl-colocate-zmq-{run.to_bytes(4, 'little').hex()}-*")  # verl's; Ray's job: grpo.py
    for path in (*semaphores, *sockets):
        path.unlink(missing_ok=True)
    shutil.rmtree(scratch, ignore_errors=True)


def account(pid: int, folder: Path) -> None:
    """Finish the run.json of the process `pid` where it could not, and say so on its terminal."""
    file, temporary = folder / "run.json", folder / ".run.json"
    record = json.loads(file.read_text()) if file.is_file() else {}
    if record.get("pid") != pid or record.get("state") != "running":
        return
    why = "its process was killed, by a person or by the system for want of memory"
    record |= {"state": "failed", "why": why, "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    temporary.write_text(json.dumps(record, indent=2) + "\n")
    temporary.rename(file)
    print(f"error: {record['recipe']} failed: {why} (log: {folder / 'log.txt'})", file=sys.stderr)


if __name__ == "__main__" and os.fork() == 0:  # the run is no ancestor of this process: who ends a tree spares it
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
