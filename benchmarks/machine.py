"""The machine that a figure was measured on, in the words of every benchmark."""

import os
import platform

import psutil


def describe() -> str:
    """Such as `x86_64, 2 CPUs, 24 GiB`."""
    return f"{platform.machine()}, {os.cpu_count()} CPUs, {psutil.virtual_memory().total / 2**30:.0f} GiB"
