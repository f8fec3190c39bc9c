"""verl's platform `cpu`: registered in every process that imports verl (plugin.py).

verl chooses it when `VERL_PLATFORM=cpu`, or by itself where it finds no accelerator.
"""

import os
import resource
import types
from contextlib import contextmanager

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


class _CpuDevice(str):
    """What `get_device_id()` returns: verl uses it as a device, `.to(id)`, and as a number, `f"{name}:{id}"`.

    As a string it is "cpu"; formatted it is "0".
    """

    def __new__(cls):
        return str.__new__(cls, "cpu")

    def __format__(self, spec: str) -> str:
        return "0"

    def __reduce__(self):
        return (_CpuDevice, ())


CPU = _CpuDevice()


def _resident_bytes(*_) -> int:
    return psutil.Process().memory_info().rss


def _peak_resident_bytes(*_) -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _free_and_total_bytes(*_) -> tuple[int, int]:
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def _nothing(*_, **__) -> None:
    """Stands for what a CPU has no need of: choosing a device, emptying its cache, resetting its statistics."""


class _DeviceModule(types.ModuleType):
    """What `get_torch_device()` returns: `torch.cpu` with the names of `torch.cuda` that verl calls."""

    is_available = staticmethod(lambda: True)
    current_device = staticmethod(lambda: CPU)
    device_count = staticmethod(lambda: 1)
    get_device_name = staticmethod(lambda *_: "CPU")
    memory_allocated = memory_reserved = staticmethod(_resident_bytes)
    max_memory_allocated = max_memory_reserved = staticmethod(_peak_resident_bytes)
    mem_get_info = staticmethod(_free_and_total_bytes)
    get_rng_state = staticmethod(lambda *_: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, *_: torch.set_rng_state(state))
    manual_seed = manual_seed_all = staticmethod(torch.manual_seed)
    set_device = empty_cache = ipc_collect = init = staticmethod(_nothing)
    reset_peak_memory_stats = reset_accumulated_memory_stats = staticmethod(_nothing)
    set_per_process_memory_fraction = staticmethod(_nothing)

    def __getattr__(self, name: str):
        return getattr(torch.cpu, name)  # Stream, Event, stream, current_stream, synchronize


DEVICE_MODULE = _DeviceModule("vrft_aug_cpu_device")


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """One logical device a worker; Ray counts it as `GPU`, since verl 0.9.1 knows GPU and NPU resources only."""

    device_name = property(lambda self: "cpu")
    vendor_name = property(lambda self: "cpu")
    device_module = property(lambda self: DEVICE_MODULE)

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        return not torch.cuda.is_available()

    def current_device(self) -> _CpuDevice:
        return CPU

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None: ...

    def synchronize(self, device_index: int | None = None) -> None: ...

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def set_allocator_settings(self, settings: str) -> None: ...

    def empty_cache(self) -> None: ...

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str):
        yield

    def profiler_start(self) -> None: ...

    def profiler_stop(self) -> None: ...

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []  # a worker's rank need not come from Ray's list of devices: there is one device

    def is_ipc_supported(self) -> bool:
        return False  # weights then travel to vLLM through verl's shared memory

    def cudart(self) -> None:
        return None


def chosen() -> bool:
    """Whether verl will run this process on the CPU platform."""
    platform = os.environ.get("VERL_PLATFORM", "").strip().lower()
    return platform == "cpu" if platform else not torch.cuda.is_available()
