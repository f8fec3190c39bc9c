"""Lets vLLM's CUDA build believe in a GPU. Import it before the rest of vLLM, whose modules keep what they find."""

import vllm.platforms
from vllm.platforms.cuda import NonNvmlCudaPlatform
from vllm.platforms.interface import DeviceCapability


class Invented(NonNvmlCudaPlatform):
    """A platform of vLLM that answers for a device, as its attributes say, and leaves every decision to vLLM."""

    name, capability, gigabytes = "", (0, 0), 0
    get_device_name = classmethod(lambda cls, *_, **__: cls.name)
    get_device_capability = classmethod(lambda cls, *_, **__: DeviceCapability(*cls.capability))
    get_device_total_memory = classmethod(lambda cls, *_, **__: cls.gigabytes * 1024**3)
    is_fully_connected = classmethod(lambda *_, **__: True)
    num_compute_units = classmethod(lambda *_, **__: 100)
    device_count = classmethod(lambda *_, **__: 1)


vllm.platforms._current_platform = Invented()
