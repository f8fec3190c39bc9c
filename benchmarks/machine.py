"""Describes the machine that a figure was measured on, and measures the memory of a process tree."""

import os
import platform
from contextlib import suppress

import psutil


def describe() -> str:
    """Such as `x86_64, 2 CPUs, 24 GiB`."""
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {psutil.virtual_memory().total / 2**30:.0f} GiB"


def tree_pss(pid: int) -> int:
    """Bytes of the process and all its descendants: proportional, a page that several share counts once."""
    total, processes = 0, []
    with suppress(psutil.Error):  # the process has ended
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        with suppress(psutil.Error):  # it ended between listing and reading
            total += process.memory_full_info().pss
    return total
