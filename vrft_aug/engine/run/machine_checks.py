"""Checks this machine: Python, cores, memory, folders, ports, GPU, C compiler."""

import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
from pathlib import Path

GIB = 1024**3
CORES = 2
WORKING_GIB, TEMPORARY_GIB = 2, 1  # for checkpoints; for Ray's logs and sockets
SOCKET_PATH = 107 - len("/vrft-xxxxxxxx/r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")

Verdict = tuple[str, str]  # what was found; what to do about it, empty if there is no problem


def python(version: tuple[int, int, int]) -> Verdict:
    found = ".".join(map(str, version))
    return found, "" if version[:2] == (3, 11) else "Python 3.11 is needed: make PYTHON=<path of a Python 3.11> setup"


def cores() -> Verdict:
    number = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return str(number), "" if number >= CORES else f"{CORES} are needed: give this machine or container more"


def memory(needed: float) -> Verdict:
    """needed: GiB, the profile's `min_free_gigabytes`."""
    from vrft_aug.engine.run.preflight import free_memory

    free = free_memory() / GIB
    remedy = f"{needed} GiB are needed: close other programs, or raise the container's limit"
    return f"{free:.1f} GiB free", "" if free >= needed else remedy


def shared_memory(bucket: int, mount: Path = Path("/dev/shm")) -> Verdict:
    """bucket: megabytes. Weights travel to vLLM in two buckets of this size; a container has 64 MiB by default."""
    if not mount.is_dir():
        return f"no {mount}", ""  # on macOS, shared memory has no limit of its own
    usage = shutil.disk_usage(mount)
    found = f"{usage.free / GIB:.2f} of {usage.total / GIB:.2f} GiB free in {mount}"
    remedy = f"{2 * bucket / 1024:.2f} GiB are needed: remove what killed programs left, or docker run --shm-size=8g"
    return found, "" if usage.free >= 2 * bucket * 2**20 else remedy


def folder(path: Path, needed: float) -> Verdict:
    """A folder, which may not exist yet, can be written and has `needed` GiB free."""
    place = next(place for place in (path, *path.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return f"{path} cannot be written ({error.strerror})", f"make {place} writable, or choose another folder"
    free = shutil.disk_usage(place).free / GIB
    return f"{free:.1f} GiB free in {path}", "" if free >= needed else f"{needed} GiB are needed: make room"


def temporary_folder(path: Path) -> Verdict:
    """Ray puts its Unix sockets there, and the length of a socket's path is limited."""
    if len(str(path)) > SOCKET_PATH:
        return f"{path} is too long for Ray's sockets ({SOCKET_PATH} characters)", "export TMPDIR=/tmp"
    return folder(path, TEMPORARY_GIB)


def ports() -> Verdict:
    """Processes connect to each other over TCP on the loopback address."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
            return "127.0.0.1 can be bound and reached", ""
    except OSError as error:
        return f"127.0.0.1 cannot be used ({error.strerror})", "bring the loopback interface up, or fix the firewall"


def gpu() -> Verdict:
    """Only shows what there is: gpu_checks.py checks it for the profiles that need it."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    if shutil.which("nvidia-smi") is None:
        return "none (no nvidia-smi)", ""
    done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return "; ".join((done.stdout if done.returncode == 0 else done.stdout + done.stderr).strip().splitlines()), ""


def compiler() -> Verdict:
    """Triton, which torch.compile and vLLM use on a GPU, compiles C code on its first use (triton/runtime/build.py)."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    found = next(filter(None, map(shutil.which, names)), "")
    return found or f"no {' or '.join(names)}", "" if found else "Triton needs one: install gcc, or set CC"


def headers() -> Verdict:
    """That C code includes Python.h, which Linux distributions put into a package of its own."""
    file = Path(sysconfig.get_paths()["include"], "Python.h")
    return str(file), "" if file.is_file() else "no such file, and Triton needs it: install python3.11-dev"
