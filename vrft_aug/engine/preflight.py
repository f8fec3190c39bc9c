"""What is checked before a run costs anything: the machine, the data, the versions."""

import os
from pathlib import Path

import psutil
from omegaconf import DictConfig

from vrft_aug.errors import InputError

BYTES_A_PARAMETER = 28  # float32: actor, its gradient, Adam's two moments, reference, vLLM, and one in transfer
GIB = 1024**3


def prepare_environment(hardware: DictConfig) -> None:
    """Export the hardware profile's environment, before torch, verl or Ray is imported; workers inherit it.

    What the person has exported wins, except the choice of the platform.
    """
    for name, value in hardware.env.items():
        if name in ("VERL_PLATFORM", "CUDA_VISIBLE_DEVICES") or name not in os.environ:
            os.environ[name] = str(value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def check_platform(hardware: DictConfig) -> None:
    """Raise InputError where verl did not load our plugin (it would not say so) or found another device."""
    try:
        from vrft_aug.engine import plugin  # noqa: F401 (a version it was not written for raises here)
    except ImportError as error:
        raise InputError(str(error)) from None
    from verl.utils.device import get_device_name

    if get_device_name() != hardware.device:
        raise InputError(
            f"hardware={hardware.name} needs device {hardware.device}, but verl found {get_device_name()}: "
            "choose another profile of conf/hardware (hardware=cpu runs everywhere)"
        )


def check_rows(train_files: list[str], val_files: list[str], batch_size: int) -> None:
    """Raise InputError unless every parquet file exists and the training rows make at least one batch."""
    import pyarrow.parquet as pq

    for file in (*train_files, *val_files):
        if not Path(file).is_file():
            raise InputError(f"{file} does not exist: run recipes/prepare.py first, or set parquet=<its out folder>")
    rows = sum(pq.ParquetFile(file).metadata.num_rows for file in train_files)
    if rows < batch_size:
        raise InputError(
            f"{', '.join(train_files)}: {rows} rows, fewer than data.train_batch_size={batch_size}: "
            "prepare more rows (shots=) or lower data.train_batch_size"
        )


def check_memory(policy: str, hardware: DictConfig) -> None:
    """Raise InputError where the policy's copies cannot fit the free memory of a CPU machine.

    need = parameters x 28 bytes + the profile's `min_free_gigabytes` for the processes. Sizes come from the
    safetensors files; a hub id that is not on disk is not checked.
    """
    if hardware.device != "cpu":
        return
    parameters = _parameters(Path(policy))
    needed = parameters * BYTES_A_PARAMETER + hardware.min_free_gigabytes * GIB
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"policy {policy} ({parameters / 1e6:.1f} M parameters) needs about {needed / GIB:.1f} GiB of free memory, "
            f"but {free / GIB:.1f} GiB are free: close other programs, take policy=tiny, or a GPU profile"
        )


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
