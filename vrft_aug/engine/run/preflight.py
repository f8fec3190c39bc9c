"""Refuses a run that cannot work before it costs anything: checks the config, the machine and the platform."""

import math
import os
import re
import shutil
from pathlib import Path

import psutil
from omegaconf import DictConfig, OmegaConf

from vrft_aug.configs import flatten
from vrft_aug.engine.run import policy_size
from vrft_aug.errors import InputError

BYTES_A_PARAMETER = 28  # float32: actor, gradient, Adam's two moments, reference, vLLM, one copy in transfer
BYTES_A_TRAINED_PARAMETER = 12  # of these 28: its gradient and Adam's two moments
GIB = 1024**3
SECRET = re.compile(  # matches the last words of a key, in lower case and separated by blanks
    r"(?<![a-z])(?:password|passwd|passphrase|secret|credentials?|(?:api|access|secret|private|auth|account) ?key"
    r"|(?<!pad )(?<!eos )(?<!bos )(?<!unk )(?<!sep )(?<!cls )(?<!mask )(?<!image )(?<!video )(?<!stop )token)$"
)
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
CGROUP = Path("/sys/fs/cgroup")  # in a container, this shows the container's limits


def prepare_environment(hardware: DictConfig) -> None:
    """Export the environment variables of the hardware profile, before torch, verl or Ray is imported."""
    os.environ.update(environment_of(hardware))


def environment_of(hardware: DictConfig) -> dict[str, str]:
    """The environment variables that the hardware profile adds to this process's.

    A variable that is set already keeps its value, except those that choose the platform. vLLM listens on this machine
    only, unless the run joins a cluster.
    """
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "VLLM_NO_USAGE_STATS": "1", "TOKENIZERS_PARALLELISM": "false"}
    alone = {"VLLM_HOST_IP": "127.0.0.1"} if hardware.ray.address == "local" else {}
    wanted = quiet | alone | {name: str(value) for name, value in hardware.env.items()}
    chosen = ("VERL_PLATFORM", "CUDA_VISIBLE_DEVICES")
    return {name: value for name, value in wanted.items() if name in chosen or name not in os.environ}


def check_no_secret(config: DictConfig) -> None:
    """Raise InputError, without the value, if a value looks like a secret: configs are saved and logged."""
    for name, value in flatten(OmegaConf.to_container(config, resolve=True), into_lists=True).items():
        words = " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.rpartition(".")[2])).lower()
        if isinstance(value, str) and value and (SECRET.search(words) or PASSWORD_IN_URL.search(value)):
            raise InputError(f"{name} looks like a secret, and configs are saved and logged: export an environment "
                             "variable instead, which every process of the run inherits")  # fmt: skip


def check_version() -> None:
    """Raise InputError for a version of verl that the patches are not written for. It imports no part of verl."""
    from vrft_aug.engine.verl.patches import require_version

    try:
        require_version("verl")
    except ImportError as error:
        raise InputError(str(error)) from None


def check_platform(hardware: DictConfig) -> None:
    """Raise InputError if verl found another device, or if our plugin does not load, which verl would not report."""
    try:
        from vrft_aug.engine.verl import plugin  # noqa: F401 (raises ImportError for an unsupported version)
    except ImportError as error:
        raise InputError(str(error)) from None
    from verl.utils.device import get_device_name

    if get_device_name() != hardware.device:
        raise InputError(f"hardware={hardware.name} needs device {hardware.device}, but verl found "
                         f"{get_device_name()}: choose another hardware= (cpu works on every machine)")  # fmt: skip


def check_batches(config: DictConfig) -> None:
    """Raise InputError for batches that the devices cannot share equally, or that a training would leave empty.

    config: of grpo.yaml or sft.yaml. verl gives every device the same number of samples per step and per update.
    """
    devices, batch = config.trainer.nnodes * config.trainer.n_gpus_per_node, config.data.train_batch_size
    sizes, samples = {"data.train_batch_size": batch}, 1
    if "actor_rollout_ref" in config:
        mini, samples = config.actor_rollout_ref.actor.ppo_mini_batch_size, config.actor_rollout_ref.rollout.n
        sizes["actor_rollout_ref.actor.ppo_mini_batch_size"] = mini
        if samples < 1:
            raise InputError(f"actor_rollout_ref.rollout.n={samples}: 1 or more responses per prompt (the paper: 8)")
    remedy = "set schedule.batch_size and schedule.mini_batch_size, or hardware.devices_per_node"
    for key, size in sizes.items():
        if size < 1 or size * samples % devices:
            step = devices // math.gcd(devices, samples)
            raise InputError(f"{key}={size}: {devices} devices cannot share {size * samples} samples equally; a "
                             f"multiple of {step} is needed; {remedy}")  # fmt: skip
    if "actor_rollout_ref" in config and batch % mini:
        raise InputError(f"actor_rollout_ref.actor.ppo_mini_batch_size={mini} must divide data.train_batch_size="
                         f"{batch}; {remedy}")  # fmt: skip


def check_memory(policy: str, hardware: DictConfig, recipe: str = "grpo", freeze: str = "none") -> None:
    """Raise InputError if the copies of the policy do not fit into the free memory of the machine.

    On a CPU they need parameters x 28 bytes, of frozen ones x 16, on a GPU machine what policy_size.py counts. The
    processes need the profile's `min_free_gigabytes` besides. recipe: grpo, sft or evaluate.
    """
    parameters, cpu = policy_size.parameters(policy), hardware.device == "cpu"
    spared = policy_size.frozen_parameters(policy, freeze) * BYTES_A_TRAINED_PARAMETER
    on_cpu = parameters * BYTES_A_PARAMETER - spared
    copies = on_cpu if cpu else policy_size.host_bytes(policy, hardware, recipe, freeze)
    needed, free = copies + hardware.min_free_gigabytes * GIB, free_memory()
    if needed > free:
        size = f"{parameters / 1e6:.1f} M parameters"
        other = "use policy=tiny" if cpu else "set hardware.min_free_gigabytes lower at your own risk"
        raise InputError(f"policy {policy} ({size}) needs about {needed / GIB:.1f} GiB of free memory, but "
                         f"{free / GIB:.1f} GiB are free: close other programs, or {other}")  # fmt: skip


def check_weight_bucket(policy: str, hardware: DictConfig) -> None:
    """Raise InputError if a tensor of the policy is larger than the buffer through which vLLM gets new weights.

    On a CPU the buffer is shared memory, and verl stops at such a tensor (bucketed_weight_transfer.py:141), minutes
    after the start. On GPUs it sends the tensor by itself.
    """
    if hardware.device != "cpu":
        return
    name, numbers = max(policy_size.tensors(policy), key=lambda tensor: tensor[1], default=("", 0))
    needed = math.ceil(numbers * policy_size.BYTES[hardware.master_dtype] / 2**20)
    if needed > hardware.weight_bucket_megabytes:
        raise InputError(f"policy {policy}: its tensor {name} has {needed} MiB, but hardware.weight_bucket_megabytes="
                         f"{hardware.weight_bucket_megabytes}: set it to {needed} or more")  # fmt: skip


def check_disk(policy: str, folder: Path, checkpoints: int, hardware: DictConfig, freeze: str = "none") -> None:
    """Raise InputError if the disk of `folder` has no room for this number of checkpoints."""
    needed = policy_size.checkpoint_bytes(policy, hardware, freeze) * checkpoints
    free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    if needed > free:
        raise InputError(f"{folder}: {checkpoints} checkpoints of policy {policy} need about {needed / GIB:.1f} GiB, "
                         f"but {free / GIB:.1f} GiB are free: make room, or choose another out")  # fmt: skip


def free_memory() -> int:
    """Bytes of memory that can still be used: those of the machine, or those of the container if they are fewer."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        parts = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no cgroup v2, or no limit ("max")
        return free
    return min(free, limit - used + int(parts["inactive_file"]))  # the kernel frees cached files when it needs memory
