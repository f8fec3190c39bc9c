"""Prepares the Ray cluster of a run, its own or one that it joins, and starts its own early where that is possible."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.engine.cpu import fork_python, spare
from vrft_aug.engine.run import ray_cpus
from vrft_aug.errors import InputError

SENT = ("VERL_FILE_LOGGER_PATH", "TENSORBOARD_DIR", "RAY_USAGE_STATS_ENABLED", "VLLM_NO_USAGE_STATS")

OF_VERL = {  # what verl.trainer.main_ppo.run_ppo gives the workers of a cluster that it starts
    **{"NCCL_DEBUG": "WARN", "HCCL_HOST_SOCKET_PORT_RANGE": "auto", "HCCL_NPU_SOCKET_PORT_RANGE": "auto"},
    **{"HSA_NO_SCRATCH_RECLAIM": "1", "TOKENIZERS_PARALLELISM": "true", "VLLM_LOGGING_LEVEL": "WARN"},
    **{"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true", "VLLM_DISABLE_COMPILE_CACHE": "1"},
    **{"VERL_FULL_DETERMINISM": "0", "VLLM_BATCH_INVARIANT": "0", "VERL_RL_INSIGHT_ENABLE": "0"},
}


def prepare(config: DictConfig, say: Callable[[str], None]) -> None:
    """Export the environment that Ray needs, and write into `config.ray_kwargs.ray_init` how verl starts Ray.

    `hardware.ray.address` is `local` for a cluster of this run's own, or the address of a running cluster.
    Raises InputError for a running cluster with too few CPUs or GPUs.
    """
    os.environ.update({name: str(value) for name, value in config.hardware.ray.env.items()})
    if config.hardware.ray.address == "local":
        _isolate(config)
        _give_places(config, say)
    else:
        _join(config)


def import_early(hardware: DictConfig) -> None:
    """Start the process that makes the workers' imports now, beside this one's own (engine/cpu/fork_server.py)."""
    if hardware.ray.fork and hardware.ray.address == "local" and not spare.kept():
        fork_python.start(tempfile.gettempdir(), fork_python.RUN)


def starts_early(config: DictConfig) -> bool:
    """Whether `start` can start the cluster, before verl is imported: a CPU's, with the variables that it knows."""
    own = config.hardware.ray.fork and config.hardware.ray.address == "local"
    rollouts = config.actor_rollout_ref.rollout, config.reward.reward_model.rollout
    special = any(one.full_determinism for one in rollouts) or "rl_insight" in config.trainer.logger
    return own and not special


def start(config: DictConfig) -> None:
    """Start Ray as verl's run_ppo would, which then uses it. It ends with the thread that started it."""
    import ray

    init: Any = OmegaConf.to_container(config.ray_kwargs.ray_init)
    init["runtime_env"]["env_vars"] = {name: value for name, value in OF_VERL.items() if name not in os.environ}
    ray.init(**init)


def _isolate(config: DictConfig) -> None:
    """Give the cluster its own folder and the loopback address: no other program or machine finds it."""
    import ray
    from ray._private import ray_constants, state

    folder = Path(tempfile.gettempdir())  # belongs to this run, see run_folder.py
    # A short name (it holds Unix sockets), inside the run's folder: Ray opens its own folder to every user.
    config.ray_kwargs.ray_init._temp_dir = str(folder / "r")
    if config.hardware.ray.fork:
        os.environ[fork_python.FOLDER] = str(folder)
        config.ray_kwargs.ray_init.runtime_env = {"py_executable": fork_python.write_command(str(folder))}
        spare.serve(folder)
    if os.environ.setdefault(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0") == "0":
        ray_constants.ENABLE_RAY_CLUSTER = False  # Ray has read the variable already; False binds it to 127.0.0.1
    # verl names a socket in /tmp by Ray's job number, and every new cluster starts with job 1: two runs on one machine
    # would mix their weights. The process id is unique.
    state.next_job_id = partial(ray.JobID.from_int, os.getpid())


def _give_places(config: DictConfig, say: Callable[[str], None]) -> None:
    """verl waits without end for CPUs that Ray does not have (verl/single_controller/ray/base.py:160)."""
    config.ray_kwargs.ray_init.num_cpus = ray_cpus.announced(config.hardware)
    if ray_cpus.is_raised(config.hardware):
        found, _ = ray_cpus.places(config.hardware)
        say(f"Ray's CPUs, which are places for processes: {found}")


def check_cluster(hardware: DictConfig) -> None:
    """Raise InputError if the cluster that a run joins can never hold it."""
    import ray

    ray.init(address=hardware.ray.address, log_to_driver=False, logging_level="ERROR")
    try:
        lacks = ray_cpus.shortage(ray.nodes(), hardware)
    finally:
        ray.shutdown()  # verl connects again, with its own settings
    if lacks:
        raise InputError(f"the Ray cluster at {hardware.ray.address} cannot run hardware={hardware.name}: {lacks}")


def _join(config: DictConfig) -> None:
    """Ask for no resources of our own, and send the workers the variables that they would inherit in our cluster.

    The config holds only the names of the variables: Ray's dashboard shows `env_vars` to everyone who can open it.
    """
    check_cluster(config.hardware)
    names = {*config.hardware.env, *config.hardware.ray.env, *SENT}
    init = config.ray_kwargs.ray_init
    init.num_cpus = init.num_gpus = None
    init.runtime_env.env_vars = {name: os.environ[name] for name in sorted(names) if name in os.environ}
