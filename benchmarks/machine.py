"""Describes the machine that a figure was measured on, and measures the memory of a process tree."""

import os
import platform
from contextlib import suppress
from pathlib import Path

import psutil

VECTORS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")  # the best first


def describe() -> str:
    """Such as `x86_64 with avx512f, 2 CPUs, 24 GiB`."""
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    return f"{platform.machine()}{_vectors()}, {os.cpu_count()} CPUs, {memory}"


def _vectors() -> str:
    """The best of VECTORS that the processor has, as Linux tells."""
    with suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text().split()
        return next((f" with {one}" for one in VECTORS if one in flags), "")
    return ""


def tree_pss(pid: int) -> int:
    """Bytes of the process and all its descendants: proportional, a page that several share counts once."""
    total, processes = 0, []
    with suppress(psutil.Error):  # the process has ended
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        with suppress(psutil.Error):  # it ended between listing and reading
            total += process.memory_full_info().pss
    return total
