"""What is checked before a run costs anything: the machine, the data, the versions."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
from omegaconf import DictConfig, OmegaConf

from vrft_aug.errors import InputError

BYTES_A_PARAMETER = 28  # float32: actor, its gradient, Adam's two moments, reference, vLLM, and one in transfer
SAVED_BYTES_A_PARAMETER = 12  # float32 in a checkpoint: actor and Adam's two moments
GIB = 1024**3
SECRET = re.compile(  # the last words of a key's name, in lower case and parted by blanks
    r"(?<![a-z])(?:password|passwd|passphrase|secret|credentials?|(?:api|access|secret|private|auth|account) ?key"
    r"|(?<!pad )(?<!eos )(?<!bos )(?<!unk )(?<!sep )(?<!cls )(?<!mask )(?<!image )(?<!video )(?<!stop )token)$"
)
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
CGROUP = Path("/sys/fs/cgroup")  # inside a container: its own limits


def prepare_environment(hardware: DictConfig) -> None:
    """Export the hardware profile's environment, before torch, verl or Ray is imported; workers inherit it.

    What the person has exported wins, except the choice of the platform. vLLM's ports are for this machine alone,
    unless the run joins a cluster (Ray's: see grpo.py).
    """
    for name, value in hardware.env.items():
        if name in ("VERL_PLATFORM", "CUDA_VISIBLE_DEVICES") or name not in os.environ:
            os.environ[name] = str(value)
    if hardware.ray.address == "local":
        os.environ.setdefault("VLLM_HOST_IP", "127.0.0.1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def check_no_secret(config: DictConfig) -> None:
    """Raise InputError, which does not repeat it, where a value looks like a secret: configs are saved and logged."""
    for name, value in _leaves(OmegaConf.to_container(config, resolve=True)):
        words = " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.rpartition(".")[2])).lower()
        if isinstance(value, str) and value and (SECRET.search(words) or PASSWORD_IN_URL.search(value)):
            raise InputError(
                f"{name} looks like a secret, and configs are saved and logged: leave it out and export an environment "
                "variable instead, which every process of the run inherits"
            )


def _leaves(tree: object, name: str = "") -> Iterator[tuple[str, object]]:
    """(dotted name, value) of everything in a tree of mappings and lists."""
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, tree


def check_platform(hardware: DictConfig) -> None:
    """Raise InputError where verl did not load our plugin (it would not say so) or found another device."""
    try:
        from vrft_aug.engine.verl import plugin  # noqa: F401 (a version it was not written for raises here)
    except ImportError as error:
        raise InputError(str(error)) from None
    from verl.utils.device import get_device_name

    if get_device_name() != hardware.device:
        raise InputError(
            f"hardware={hardware.name} needs device {hardware.device}, but verl found {get_device_name()}: "
            "choose another profile of conf/hardware (hardware=cpu runs everywhere)"
        )


def check_rows(files: list[str]) -> None:
    """Raise InputError unless every parquet file exists and holds rows."""
    import pyarrow.parquet as pq

    for file in files:
        if not Path(file).is_file():
            raise InputError(f"{file} does not exist: run recipes/prepare.py first, or set parquet=<its out folder>")
        if not pq.ParquetFile(file).metadata.num_rows:
            raise InputError(f"{file} holds no rows: prepare again with a data set that has that split")


def check_memory(policy: str, hardware: DictConfig) -> None:
    """Raise InputError where the policy's copies cannot fit the free memory of a CPU machine.

    need = parameters x 28 bytes + the profile's `min_free_gigabytes` for the processes. Sizes come from the
    safetensors files; a hub id that is not on disk is not checked.
    """
    if hardware.device != "cpu":
        return
    parameters = _parameters(Path(policy))
    needed = parameters * BYTES_A_PARAMETER + hardware.min_free_gigabytes * GIB
    free = free_memory()
    if needed > free:
        raise InputError(
            f"policy {policy} ({parameters / 1e6:.1f} M parameters) needs about {needed / GIB:.1f} GiB of free memory, "
            f"but {free / GIB:.1f} GiB are free: close other programs, take policy=tiny, or a GPU profile"
        )


def check_disk(policy: str, out: Path, kept: int | None) -> None:
    """Raise InputError where `out` has no room for the checkpoints that are kept (None: for two of them) and one more.

    The oldest goes only when the newest is whole. A hub id that is not on disk is not checked.
    """
    needed = _parameters(Path(policy)) * SAVED_BYTES_A_PARAMETER * ((kept or 2) + 1)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise InputError(
            f"out={out}: checkpoints of policy {policy} need about {needed / GIB:.1f} GiB, but {free / GIB:.1f} GiB "
            "are free: make room, choose another out, or keep fewer of them"
        )


def free_memory() -> int:
    """Bytes that may still be taken: of the machine, or of this process's container where that has less."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        parts = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no cgroup v2, or no limit ("max")
        return free
    return min(free, limit - used + int(parts["inactive_file"]))  # the kernel takes cached files back


def _parameters(folder: Path) -> int:
    from safetensors import safe_open

    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                size = 1
                for side in tensors.get_slice(name).get_shape():
                    size *= side
                total += size
    return total
