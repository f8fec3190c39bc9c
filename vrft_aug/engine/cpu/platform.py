"""Registers the platform `cpu` with verl, in every process that imports verl (plugin.py).

verl chooses it if `VERL_PLATFORM=cpu`, or if that is not set and there is no accelerator.
"""

import os
import resource
import types
from contextlib import nullcontext
from typing import Any

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


class _CpuDevice(str):
    """The result of `get_device_id()`: "cpu" where verl calls `.to(id)`, "0" where it writes `f"{name}:{id}"`."""

    def __format__(self, spec: str) -> str:
        return "0"


CPU = _CpuDevice("cpu")


def _free_and_total_bytes(*_: Any) -> tuple[int, int]:
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def _nothing(*_: Any, **__: Any) -> None:
    """Does nothing: for functions that a CPU does not need, such as choosing a device or emptying its cache."""


class _DeviceModule(types.ModuleType):
    """The result of `get_torch_device()`: `torch.cpu`, with those names of `torch.cuda` that verl calls."""

    is_available = staticmethod(lambda: True)
    current_device = staticmethod(lambda: CPU)
    device_count = staticmethod(lambda: 1)
    get_device_name = staticmethod(lambda *_: "CPU")
    memory_allocated = memory_reserved = staticmethod(lambda *_: psutil.Process().memory_info().rss)
    max_memory_allocated = max_memory_reserved = staticmethod(
        lambda *_: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    mem_get_info = staticmethod(_free_and_total_bytes)
    get_rng_state = staticmethod(lambda *_: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, *_: torch.set_rng_state(state))
    manual_seed = manual_seed_all = staticmethod(torch.manual_seed)
    set_device = empty_cache = ipc_collect = init = staticmethod(_nothing)
    reset_peak_memory_stats = reset_accumulated_memory_stats = staticmethod(_nothing)
    set_per_process_memory_fraction = staticmethod(_nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)  # Stream, Event, stream, current_stream, synchronize


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """One logical device per worker. Ray counts it as `GPU`, since verl 0.9.1 knows only GPU and NPU resources."""

    device_name = vendor_name = "cpu"
    device_module = _DeviceModule("vrft_aug_cpu_device")
    is_available = staticmethod(lambda: True)
    is_platform_available = staticmethod(lambda use_smi_check=False: not torch.cuda.is_available())
    current_device = staticmethod(lambda: CPU)
    device_count = staticmethod(lambda: 1)
    get_device_capability = staticmethod(lambda device_index=0: (None, None))
    communication_backend_name = staticmethod(lambda: "gloo")
    visible_devices_envvar = staticmethod(lambda: "CUDA_VISIBLE_DEVICES")
    ray_resource_name = staticmethod(lambda: "GPU")
    ray_noset_envvars = staticmethod(list[str])  # none: a worker need not find its rank in Ray's list of devices
    is_ipc_supported = staticmethod(lambda: False)  # so weights reach vLLM through verl's shared memory
    nvtx_range = staticmethod(nullcontext)
    manual_seed = manual_seed_all = staticmethod(torch.manual_seed)
    set_device = synchronize = set_allocator_settings = empty_cache = staticmethod(_nothing)
    profiler_start = profiler_stop = cudart = staticmethod(_nothing)


def chosen() -> bool:
    """Whether verl runs this process on the CPU platform."""
    platform = os.environ.get("VERL_PLATFORM", "").strip().lower()
    return platform == "cpu" if platform else not torch.cuda.is_available()
