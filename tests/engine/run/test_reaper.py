"""What counts as dead, and whose shared memory is removed."""

import platform
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from vrft_aug.engine.run.reaper import SHARED_MEMORY, Segments, end, lives

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
    """Paths of segments that are gone after the test."""
    paths = []

    def segment() -> Path:
        paths.append(SHARED_MEMORY / f"vrft_test_{uuid.uuid4().hex}")
        return paths[-1]

    yield segment
    for path in paths:
        path.unlink(missing_ok=True)


def test_a_familys_segments_end_with_it_and_nobody_elses(start, segment):
    earlier, ours, foreign = segment(), segment(), segment()
    earlier.touch()
    segments = Segments()
    mine, other = start(HOLDS, str(earlier), str(ours)), start(HOLDS, str(foreign))
    end({mine}, segments)
    assert (lives(mine), lives(other)) == (False, True)
    assert (earlier.exists(), ours.exists(), foreign.exists()) == (True, False, True)


def test_what_a_process_held_that_is_dead_by_now_is_removed_too(start, segment):
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
    """Linux shows one whose first thread has ended as a zombie, and its ports are open until the others have."""
    process = start(LOSES_ITS_FIRST_THREAD)
    time.sleep(0.5)
    assert process.status() == psutil.STATUS_ZOMBIE and lives(process)
    time.sleep(3)
    assert process.status() == psutil.STATUS_ZOMBIE and not lives(process)
