"""V-RFT: one GRPO training with verl's V1 trainer on Ray."""

import os
import shutil
import tempfile
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from vrft_aug.engine import preflight
from vrft_aug.engine.run_folder import Run
from vrft_aug.engine.training import Trainer
from vrft_aug.engine.training import train as train_with
from vrft_aug.rewards import compose, diagnostics

ROOT = Path(__file__).resolve().parents[2]
HEADLINE = {
    "reward": "critic/score/mean",
    "validation accuracy": "val-core/*",
    "KL": "actor/kl_loss",
    "tokens": "response_length/mean",
}


def train(config: DictConfig, run: Run) -> Path:
    """See training.py. Raises InputError for a malformed objective or bound, before a Ray worker meets it."""
    preflight.prepare_environment(config.hardware)
    compose(OmegaConf.to_container(config.objective, resolve=True))
    bounds = diagnostics.BOUNDS | OmegaConf.to_container(config.warn)
    diagnostics.warnings({}, bounds)

    def warn(metrics: dict[str, float]) -> list[str]:
        return diagnostics.warnings(metrics, bounds)

    return train_with(config, run, Trainer(HEADLINE, "actor_rollout_ref.model.path", run_on_ray, warn))


def run_on_ray(config: DictConfig) -> None:
    """Run verl's trainer in a Ray cluster of its own (or the one that `hardware.ray.address` names), and leave none.

    A cluster of its own has its own folder, so it is neither found by another program nor finds one.
    """
    import ray
    from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    os.environ.update(config.hardware.ray.env)
    own_cluster = config.hardware.ray.address == "local"
    folder = tempfile.mkdtemp(prefix="vrft-ray-") if own_cluster else None  # short: it holds Unix sockets
    with open_dict(config):
        agent = config.actor_rollout_ref.rollout.agent
        agent.agent_loop_config_path = str(ROOT / agent.agent_loop_config_path)  # workers run in other folders
        if config.trainer.validation_data_dir:
            config.trainer.validation_data_dir = str(Path(config.trainer.validation_data_dir).resolve())
        if own_cluster:
            config.ray_kwargs.ray_init._temp_dir = folder
    try:
        run_ppo(config, task_runner_class=TaskRunnerV1)
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
