"""Checks that torch can use this machine's GPUs, and that they are those for which a hardware profile is made.

A process of its own asks torch: the first use of CUDA takes memory on a GPU until its process ends.
"""

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vrft_aug.engine.run.machine_checks import Verdict

LOOK = """import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [torch.cuda.get_device_properties(place) for place in range(number)]
try:
    import flash_attn
    flash = ""
except Exception as error:
    flash = f"{type(error).__name__}: {error}"
print(json.dumps({
    "version": torch.__version__.partition("+")[0], "cuda": torch.version.cuda or "", "flash_attn": flash,
    "devices": [[one.name, one.total_memory / 2**30, one.major + one.minor / 10] for one in devices],
    "trouble": " ".join(str(one.message) for one in caught if "CUDA" in str(one.message)),
}))"""
QUERY = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
# CUDA's major version -> the oldest driver that runs it (CUDA Toolkit release notes, "minor version compatibility").
DRIVERS = {"12": "525.60", "13": "580.65"}
TOLERANCE = 0.1  # a card offers less than its name says: about 79 GiB of 80 GB, and with ECC about 22 GiB of 24 GB
AMPERE = 8.0  # compute capability
PATIENCE = 30  # seconds for nvidia-smi; ten times as many for torch, whose first import reads 2 GB
NONE = ("not known: torch finds no GPU", "see the check `GPU`")


@dataclass(frozen=True)
class Device:
    """gib: memory. capability: compute capability, as 8.0 for Ampere."""

    name: str
    gib: float
    capability: float


@dataclass(frozen=True)
class Cuda:
    """What torch says. version: of torch. cuda: the version of CUDA that it was built for, empty without CUDA.
    devices: none where torch cannot use CUDA. trouble: torch's warnings. flash_attn: why its import fails, or empty.
    """

    version: str
    cuda: str
    devices: tuple[Device, ...] = ()
    trouble: str = ""
    flash_attn: str = ""


def checks(hardware: Any) -> dict[str, Callable[[], Verdict]]:
    """The checks for a profile with `device: cuda`, in the order in which one fault explains the next."""
    ask = functools.cache(look)
    return {
        "GPU": lambda: driver(ask(), hardware.name),
        "GPU number": lambda: number(ask(), hardware.devices_per_node),
        "GPU memory": lambda: memory(ask(), hardware.device_gigabytes),
        "GPU generation": lambda: generation(ask(), hardware),
        "flash-attn": lambda: flash_attention(ask(), hardware),
    }


def look() -> Cuda:
    done = _ask([sys.executable, "-P", "-c", LOOK], 10 * PATIENCE)
    if done.returncode:
        return Cuda("", "", trouble=(done.stderr.strip().splitlines() or ["torch cannot be imported"])[-1])
    said = json.loads(done.stdout.splitlines()[-1])
    return Cuda(**(said | {"devices": tuple(Device(*one) for one in said["devices"])}))


def driver(cuda: Cuda, profile: str) -> Verdict:
    """torch can use CUDA. Otherwise: because of the environment, the driver, or for the reason that torch gives."""
    needed = DRIVERS.get(cuda.cuda.partition(".")[0], "")
    found, broken = _driver_version()
    torch = f"torch {cuda.version} for CUDA {cuda.cuda}"
    if cuda.devices:
        return f"{len(cuda.devices)} x {cuda.devices[0].name}, driver {found or 'not known'}, {torch}", ""
    another = "or use hardware=cpu"
    if not cuda.cuda:
        return f"torch {cuda.version} is without CUDA {cuda.trouble}".strip(), f"run `make setup HARDWARE={profile}`"
    if broken:
        return broken, f"install the NVIDIA driver, {needed} or newer for {torch}, {another}"
    if _numbers(found) < _numbers(needed):
        return f"driver {found} is too old for {torch}", f"install the NVIDIA driver {needed} or newer, {another}"
    why = cuda.trouble or "torch.cuda.is_available() is false"
    return f"driver {found}, but {torch} finds no GPU: {why}", f"unset CUDA_VISIBLE_DEVICES, restart, {another}"


def number(cuda: Cuda, needed: int) -> Verdict:
    found = len(cuda.devices)
    if not cuda.devices:
        return NONE
    remedy = f"{needed} are needed: set hardware.devices_per_node={found}, or choose another hardware="
    return f"torch finds {found}", "" if found >= needed else remedy


def memory(cuda: Cuda, needed: float) -> Verdict:
    """needed: the profile's `device_gigabytes`."""
    if not cuda.devices:
        return NONE
    least = min(one.gib for one in cuda.devices)
    remedy = f"{needed} are needed (about {needed * (1 - TOLERANCE):.0f} GiB): choose the hardware= of this card"
    return f"{least:.1f} GiB per GPU", "" if least >= needed * (1 - TOLERANCE) else remedy


def generation(cuda: Cuda, hardware: Any) -> Verdict:
    """bfloat16 and flash-attn 2 need compute capability 8.0: Ampere (A100, A10, RTX 3090) or newer."""
    if not cuda.devices:
        return NONE
    oldest = min(cuda.devices, key=lambda one: one.capability)
    found = f"{oldest.name} has compute capability {oldest.capability}"
    asking = [key for key, value in (("dtype", "bfloat16"), ("attention", "flash_attention_2")) if
              hardware[key] == value]  # fmt: skip
    if not asking or oldest.capability >= AMPERE:
        return found, ""
    wanted = " and ".join(f"hardware.{key}={hardware[key]}" for key in asking)
    return found, f"{wanted} need {AMPERE} (Ampere) or newer: use another GPU, or hardware=cpu"


def flash_attention(cuda: Cuda, hardware: Any) -> Verdict:
    """flash-attn is compiled on the machine, so it is missing more often than anything else."""
    if hardware.attention != "flash_attention_2":
        return f"not needed for attention={hardware.attention}", ""
    remedy = (f"run `make setup HARDWARE={hardware.name} FLASH_ATTN=1`, or set hardware.attention=sdpa "
              "hardware.remove_padding=false")  # fmt: skip
    return (f"cannot be imported ({cuda.flash_attn})", remedy) if cuda.flash_attn else ("can be imported", "")


def _driver_version() -> tuple[str, str]:
    """The version that nvidia-smi shows, and why there is none: one of the two is empty."""
    if shutil.which("nvidia-smi") is None:
        return "", "none (no nvidia-smi)"
    done = _ask(QUERY, PATIENCE)
    text = (done.stdout if done.returncode == 0 else done.stdout + done.stderr).strip().splitlines()
    return (text[0], "") if text and done.returncode == 0 else ("", "; ".join(text) or "nvidia-smi shows no GPU")


def _ask(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """A driver that hangs is a program that failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} does not answer within {seconds:.0f} s")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
