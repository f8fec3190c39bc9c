"""V-RFT: one GRPO training with verl's V1 trainer on Ray."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from vrft_aug.engine.cpu import fork_python, fork_server
from vrft_aug.engine.run import preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.run.watch import run_watched
from vrft_aug.engine.training.checkpoints import Criterion
from vrft_aug.engine.training.common import Trainer
from vrft_aug.engine.training.common import train as train_with
from vrft_aug.rewards import compose, diagnostics

STOP = "stop"  # file in `trainer.default_local_dir` that asks the trainer for a checkpoint and an early end
ROOT = Path(__file__).resolve().parents[2]
SENT = ("VERL_FILE_LOGGER_PATH", "TENSORBOARD_DIR", "RAY_USAGE_STATS_ENABLED", "VLLM_NO_USAGE_STATS")  # see _join
HEADLINE = {
    "reward": "critic/score/mean",
    "validation accuracy": "val-core/*",
    "KL": "actor/kl_loss",
    "tokens": "response_length/mean",
}
BEST = Criterion("validation accuracy", "val-core/*/acc/mean@*", max)


def train(config: DictConfig, run: Run) -> Path:
    """See training.py. Raises InputError for a malformed objective or bound, before a Ray worker meets it."""
    preflight.prepare_environment(config.hardware)
    compose(OmegaConf.to_container(config.objective, resolve=True))
    bounds = diagnostics.BOUNDS | OmegaConf.to_container(config.warn)
    diagnostics.warnings({}, bounds)

    def warn(metrics: dict[str, float]) -> list[str]:
        return diagnostics.warnings(metrics, bounds)

    trainer = Trainer(
        HEADLINE,
        "actor_rollout_ref.model.path",
        "trainer.max_actor_ckpt_to_keep",
        BEST,
        partial(run_on_ray, say=run.say),
        warn,
    )
    return train_with(config, run, trainer)


def run_on_ray(config: DictConfig, say: Callable[[str], None]) -> None:
    """Run verl's trainer in a Ray cluster of its own (or the one that `hardware.ray.address` names), and leave none.

    A cluster of its own has its own folder and the loopback address, so it is neither found by another program or
    machine nor finds one. The first SIGINT or SIGTERM stops it after a step, with a checkpoint.
    """
    import ray
    from verl.trainer.main_ppo import run_ppo
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    os.environ.update(config.hardware.ray.env)
    with open_dict(config):
        agent = config.actor_rollout_ref.rollout.agent
        if agent.agent_loop_config_path:  # workers run in other folders
            agent.agent_loop_config_path = str(Path(agent.agent_loop_config_path).resolve())
        if config.trainer.validation_data_dir:
            config.trainer.validation_data_dir = str(Path(config.trainer.validation_data_dir).resolve())
        if config.hardware.ray.address == "local":
            _keep_to_itself(config)
        else:
            _join(config)
    stop = Path(config.trainer.default_local_dir) / STOP
    stop.unlink(missing_ok=True)

    def ask_to_stop() -> bool:
        if not Path(os.environ["VERL_FILE_LOGGER_PATH"]).exists():  # no step has begun
            return False
        stop.parent.mkdir(parents=True, exist_ok=True)
        stop.touch()
        say("stopping after this step, with a checkpoint; a second signal stops at once")
        return True

    runner = ray.remote(num_cpus=1)(TaskRunner)
    run_watched(partial(run_ppo, config, runner), ray.shutdown, ask_to_stop)


def _keep_to_itself(config: DictConfig) -> None:
    """Let the cluster that Ray is about to start be this run's alone."""
    import ray
    from ray._private import ray_constants, state

    folder = Path(tempfile.gettempdir())  # the run's own, see run_folder.py
    config.ray_kwargs.ray_init._temp_dir = str(folder / "r")  # a short name, and below, for Ray opens it to everybody
    if config.hardware.ray.fork:
        os.environ[fork_python.FOLDER] = str(folder)
        config.ray_kwargs.ray_init.runtime_env = {"py_executable": fork_server.write_command(folder)}
    if os.environ.setdefault(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0") == "0":
        ray_constants.ENABLE_RAY_CLUSTER = False  # Ray is imported already; all of it then has the address 127.0.0.1
    # verl names a socket in /tmp by Ray's job, of which every cluster has a first: two runs would mix their weights
    state.next_job_id = partial(ray.JobID.from_int, os.getpid())


def _join(config: DictConfig) -> None:
    """Ask a running cluster for no resources of its own, and send its workers what they would inherit in ours.

    The names are given here, since Ray shows the values to everyone who may open its dashboard.
    """
    names = {*config.hardware.env, *config.hardware.ray.env, *SENT}
    init = config.ray_kwargs.ray_init
    init.num_cpus = init.num_gpus = None
    init.runtime_env.env_vars = {name: os.environ[name] for name in sorted(names) if name in os.environ}


class TaskRunner:
    """Runs a training in a process of Ray's, as verl's own does, with our trainer and rollout server."""

    def run(self, config: DictConfig) -> None:
        from verl.trainer.main_ppo import TaskRunnerV1
        from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
        from verl.workers.rollout.replica import RolloutReplicaRegistry

        from vrft_aug.engine.verl.llm_server import PromptOnceReplica
        from vrft_aug.engine.verl.trainer import StoppableTrainer

        TRAINER_REGISTRY["sync"] = StoppableTrainer  # verl compares the name with "sync" in many places
        RolloutReplicaRegistry.register("vllm", lambda: PromptOnceReplica)  # and this one with "vllm"
        TaskRunnerV1.__ray_metadata__.modified_class().run(config)
