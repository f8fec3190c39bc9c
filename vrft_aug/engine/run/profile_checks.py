"""The checks of a hardware profile: the doctor prints them all, and a recipe refuses to start at the first problem."""

from collections.abc import Callable
from typing import Any

from vrft_aug.engine.run import gpu_checks, machine_checks, ray_cpus
from vrft_aug.engine.run.machine_checks import Verdict
from vrft_aug.errors import InputError

OF_TRAINING = {"attention", "flash-attn", "Ray's CPUs"}  # vLLM brings its own attention, and serves without Ray


def checks(hardware: Any) -> dict[str, Callable[[], Verdict]]:
    """name -> check, for the profile `hardware` with the settings of the command line."""
    todo = {"attention": lambda: attention(hardware)}
    if hardware.device == "cuda":
        compilers = {"C compiler": machine_checks.compiler, "Python headers": machine_checks.headers}
        todo |= gpu_checks.checks(hardware) | compilers
    return todo | {"Ray's CPUs": lambda: ray_cpus.places(hardware)}


def check_machine(hardware: Any, serving: bool = False) -> None:
    """Raise InputError for the first check that finds a problem. A cluster's GPUs are not this machine's to check.

    serving: only what vLLM alone needs.
    """
    left_out = OF_TRAINING if serving else set()
    if hardware.ray.address != "local":
        left_out = left_out | {"GPU number", "GPU memory", "GPU generation"}
    for name, check in checks(hardware).items():
        found, remedy = check() if name not in left_out else ("", "")
        if remedy:
            raise InputError(f"hardware={hardware.name}: {name}: {found}; {remedy}")


def attention(hardware: Any) -> Verdict:
    """Without padding, the sequences of a batch lie in one row, and only flash-attn keeps them apart."""
    kept = "without padding" if hardware.remove_padding else "with padding"
    allowed = not hardware.remove_padding or hardware.attention == "flash_attention_2"
    remedy = "only flash_attention_2 can do without padding: set hardware.remove_padding=false"
    return f"{hardware.attention} {kept}", "" if allowed else remedy
