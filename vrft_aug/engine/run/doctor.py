"""Can this machine run it?  python -m vrft_aug.engine.run.doctor [--hardware cpu] [--quick]

One line a check: what was found, and what to do where it is not enough. Exit code 0: no problem; 1: at least one.
It must run where the environment is broken: whatever is not in the standard library is imported by the check that
needs it, and a check that cannot run is a problem itself. The full examination also loads the plugins, each in a
process of its own, which imports verl and vLLM; `--quick` (make quickstart) reads their registration only.
"""

import argparse
import configparser
import functools
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
GIB = 1024**3
CORES = 2
FOLDER_GIB = {"working": 2, "cache": 0.5, "temporary": 1}  # checkpoints; the tiny policy; Ray's logs and sockets
SOCKET_PATH = 107 - len("/vrft-xxxxxxxx/r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
SWITCHES = {"verl.plugins": "VERL_USE_EXTERNAL_PLUGINS", "vllm.general_plugins": "VLLM_PLUGINS"}
LOAD = """
import importlib.metadata as metadata, sys
for entry in metadata.entry_points(group=sys.argv[1], name="vrft_aug"):
    loaded = entry.load()
    if callable(loaded):
        loaded()
"""

Verdict = tuple[str, str]  # what was found; what to do about it, empty where nothing is wrong


def main() -> None:
    profiles = sorted(path.stem for path in (ROOT / "conf" / "hardware").glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hardware", default="cpu", choices=profiles, help="profile of conf/hardware")
    parser.add_argument("--quick", action="store_true", help="do not load the plugins; show problems only")
    arguments = parser.parse_args()
    sys.exit(report(checks(arguments.hardware, arguments.quick), arguments.quick))


def report(todo: dict[str, Callable[[], Verdict]], quick: bool = False) -> int:
    """Run the checks and print a line each (with `quick`, only problems and a summary); 1 if one found a problem."""
    problems = 0
    for name, check in todo.items():
        try:
            found, remedy = check()
        except Exception as error:
            found, remedy = f"cannot be checked: {type(error).__name__}: {error}", "run `make setup`"
        problems += bool(remedy)
        if remedy or not quick:
            print(f"{'problem' if remedy else 'ok':8} {name:16} {found}{remedy and '; ' + remedy}", flush=True)
    few = f"{problems} problem{'s' * (problems != 1)}" if problems else "no problem"
    print(f"doctor: {len(todo)} checks, {few}{' (make doctor shows all)' if quick and problems else ''}")
    return min(problems, 1)


def checks(hardware: str, quick: bool) -> dict[str, Callable[[], Verdict]]:
    """What is examined for a profile of conf/hardware, in the order of the report."""

    @functools.cache
    def profile() -> dict[str, Any]:
        import yaml

        return yaml.safe_load((ROOT / "conf" / "hardware" / f"{hardware}.yaml").read_text(encoding="utf-8"))

    def lock() -> Path:
        return ROOT / "requirements" / ("cpu.txt" if profile()["device"] == "cpu" else "gpu.txt")

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vrft_aug"
    light = {
        "Python": lambda: python(sys.version_info[:3]),
        "cores": lambda: cores(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": lambda: memory(profile()["min_free_gigabytes"]),
        "shared memory": lambda: shared_memory(profile()["weight_bucket_megabytes"]),
        "working folder": lambda: folder(Path.cwd(), FOLDER_GIB["working"]),
        "cache": lambda: folder(cache, FOLDER_GIB["cache"]),
        "temporary folder": lambda: temporary_folder(Path(tempfile.gettempdir())),
        "ports": ports,
        "GPU": lambda: gpu(profile()["device"]),
        "versions": lambda: versions(lock()),
        "patches": lambda: patches(profile()["device"]),
        "verl's plugin": lambda: registered("verl.plugins"),
        "vLLM's plugin": lambda: registered("vllm.general_plugins"),
    }
    loading = {
        "verl loads it": lambda: loads("verl.plugins", profile()["env"]),
        "vLLM loads it": lambda: loads("vllm.general_plugins", profile()["env"]),
    }
    return light if quick else light | loading


def python(version: tuple[int, int, int]) -> Verdict:
    found = ".".join(map(str, version))
    return found, "" if version[:2] == (3, 11) else "Python 3.11 is needed: make PYTHON=<path of a Python 3.11> setup"


def cores(number: int) -> Verdict:
    return str(number), "" if number >= CORES else f"{CORES} are needed: give this machine or container more"


def memory(needed: float) -> Verdict:
    """Against the profile's `min_free_gigabytes`."""
    from vrft_aug.engine.run.preflight import free_memory

    free = free_memory() / GIB
    remedy = f"{needed} GiB are needed: close other programs, or raise the container's limit"
    return f"{free:.1f} GiB free", "" if free >= needed else remedy


def shared_memory(bucket: int, mount: Path = Path("/dev/shm")) -> Verdict:
    """Room for two of the buckets (megabytes) in which weights travel to vLLM; a container has 64 MiB by default."""
    if not mount.is_dir():
        return f"no {mount}", ""  # macOS: shared memory has no size of its own
    usage = shutil.disk_usage(mount)
    found = f"{usage.free / GIB:.2f} of {usage.total / GIB:.2f} GiB free in {mount}"
    remedy = f"{2 * bucket / 1024:.2f} GiB are needed: remove what killed programs left, or docker run --shm-size=8g"
    return found, "" if usage.free >= 2 * bucket * 2**20 else remedy


def folder(path: Path, needed: float) -> Verdict:
    """A folder, or where it is yet to be made, can be written and has `needed` GiB free."""
    place = next(place for place in (path, *path.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return f"{path} cannot be written ({error.strerror})", f"make {place} writable, or choose another folder"
    free = shutil.disk_usage(place).free / GIB
    return f"{free:.1f} GiB free in {path}", "" if free >= needed else f"{needed} GiB are needed: make room"


def temporary_folder(path: Path) -> Verdict:
    """Ray's Unix sockets stand in it, and a socket's path is limited."""
    if len(str(path)) > SOCKET_PATH:
        return f"{path} is too long for Ray's sockets ({SOCKET_PATH} characters)", "export TMPDIR=/tmp"
    return folder(path, FOLDER_GIB["temporary"])


def ports() -> Verdict:
    """Processes find each other over TCP on the loopback address."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
            return "127.0.0.1 can be bound and reached", ""
    except OSError as error:
        return f"127.0.0.1 cannot be used ({error.strerror})", "bring the loopback interface up, or mend the firewall"


def gpu(device: str) -> Verdict:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    missing = "" if device == "cpu" else "install the NVIDIA driver, or take the profile cpu"
    if shutil.which("nvidia-smi") is None:
        return "none (no nvidia-smi)", missing
    done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    found = "; ".join((done.stdout if done.returncode == 0 else done.stdout + done.stderr).strip().splitlines())
    return found, "" if done.returncode == 0 else missing


def versions(lock: Path) -> Verdict:
    """Installed distributions against the lock, `name==version` a line; names the first that differ."""
    different = []
    pins = [line.split("==") for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
    for name, pinned in pins:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] != pinned.strip().split("+")[0]:
            different.append(f"{name} {found}, not {pinned.strip()}")
    if not different:
        return f"{len(pins)} as in requirements/{lock.name}", ""
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return f"{', '.join(different[:3])}{more}", f"the lock is requirements/{lock.name}: run `make setup`"


def patches(device: str) -> Verdict:
    """Patches refuse to work on versions that they were not written for: see patches.py."""
    from vrft_aug.engine.verl.patches import WRITTEN_FOR

    needed = {name: version for name, version in WRITTEN_FOR.items() if name == "verl" or device == "cpu"}
    found = {name: importlib.metadata.version(name) for name in needed}
    wanted = ", ".join(f"{name} {version}" for name, version in needed.items())
    if found == needed:
        return f"written for {wanted}", ""
    remedy = "run `make setup`, or check every patch in vrft_aug/engine/verl/patches.py"
    return f"written for {wanted}; found {', '.join(found.values())}", remedy


def registered(group: str) -> Verdict:
    """Our entry point of `group` is installed as setup.cfg declares it, and no environment variable shuts it out."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    value = setup["options.entry_points"][group].split("=")[1].strip()
    path = [place for place in sys.path if Path(place).resolve() != ROOT]  # an egg-info there is no installation
    installed = next(iter(importlib.metadata.distributions(name="vrft-aug", path=path)), None)
    found = [entry.value for entry in installed.entry_points.select(group=group)] if installed else []
    if value not in found:
        remedy = "run `pip install --no-deps -e .` in the repository"
        return f"{value} is not registered (found: {', '.join(found) or 'nothing'})", remedy
    allowed = os.environ.get(SWITCHES[group], "auto")
    if allowed != "auto" and "vrft_aug" not in allowed.split(","):
        return f"{SWITCHES[group]}={allowed} shuts {value} out", f"unset {SWITCHES[group]}"
    return f"{value} is registered", ""


def loads(group: str, environment: dict[str, Any]) -> Verdict:
    """Our entry point of `group` loads in a new process, as in those of verl and vLLM, which do not say if it fails."""
    command = [sys.executable, "-P", "-c", LOAD, group]
    env = os.environ | {name: str(value) for name, value in environment.items()}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1], "mend that, or run `make setup`"
    return "without an error", ""


if __name__ == "__main__":
    main()
