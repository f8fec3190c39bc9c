"""Which processes count as dead, and which shared memory is removed."""

import platform
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest

from vrft_aug.engine.run.reaper import SHARED_MEMORY, Segments, end, lives, relatives

HOLDS = """
import sys, time
files = [open(path, "ab") for path in sys.argv[1:]]
print("", flush=True)
time.sleep(600)
"""
LOSES_ITS_FIRST_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(2,)).start()
print("", flush=True)
ctypes.CDLL(None).syscall(60, 0)  # ends the thread that calls it
"""


@pytest.fixture
def start():
    started = []

    def start(program: str, *arguments: str) -> psutil.Process:
        process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return psutil.Process(process.pid)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def segment():
    """Makes paths of segments, which are removed after the test."""
    paths = []

    def segment() -> Path:
        paths.append(SHARED_MEMORY / f"vrft_test_{uuid.uuid4().hex}")
        return paths[-1]

    yield segment
    for path in paths:
        path.unlink(missing_ok=True)


def test_only_the_familys_own_segments_are_removed(start, segment):
    earlier, ours, foreign = segment(), segment(), segment()
    earlier.touch()
    segments = Segments()
    mine, other = start(HOLDS, str(earlier), str(ours)), start(HOLDS, str(foreign))
    end({mine}, segments)
    assert (lives(mine), lives(other)) == (False, True)
    assert (earlier.exists(), ours.exists(), foreign.exists()) == (True, False, True)


def test_the_segments_of_a_process_that_died_before_are_removed_too(start, segment):
    path, segments = segment(), Segments()
    assert not segments.are_new()
    process = start(HOLDS, str(path))
    assert segments.are_new()
    segments.look({process})
    assert not segments.are_new()
    process.kill()
    process.wait()
    end({process}, segments)
    assert not path.exists()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of the system call is that of x86_64")
def test_a_process_lives_as_long_as_its_last_thread(start):
    """Linux shows a process as a zombie when its first thread has ended, but its ports are open until the last ends."""
    process = start(LOSES_ITS_FIRST_THREAD)
    time.sleep(0.5)
    assert process.status() == psutil.STATUS_ZOMBIE and lives(process)
    time.sleep(3)
    assert process.status() == psutil.STATUS_ZOMBIE and not lives(process)


def test_relatives_are_found_while_another_thread_lists_the_processes(start):
    """Ray does so, with other attributes, while it looks for a cluster; psutil shares its processes among threads."""
    process, ended = start("import time; print(flush=True); time.sleep(60)"), threading.Event()

    def list_all() -> None:
        while not ended.is_set():
            list(psutil.process_iter(["cmdline"]))

    other = threading.Thread(target=list_all)
    other.start()
    try:
        for _ in range(50):
            assert psutil.Process(process.pid) in relatives({psutil.Process()})
    finally:
        ended.set()
        other.join()
