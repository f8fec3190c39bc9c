"""V-RFT: one GRPO training with verl's V1 trainer on Ray."""

import os
import shutil
import tempfile
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from vrft_aug.engine import policy, preflight
from vrft_aug.engine.progress import MetricsFollower, keep_steps_up_to
from vrft_aug.engine.run_folder import Run
from vrft_aug.rewards import compose, diagnostics

HEADLINE = {
    "reward": "critic/score/mean",
    "validation accuracy": "val-core/*",
    "KL": "actor/kl_loss",
    "tokens": "response_length/mean",
}


def train(config: DictConfig, run: Run) -> Path:
    """Train to `trainer.total_training_steps`, resuming from the newest checkpoint in the run's folder.

    Returns the folder of the trained policy in Hugging Face format, `<out>/policy`.
    Raises InputError before anything is started where data, machine or policy cannot work.
    """
    preflight.prepare_environment(config.hardware)
    compose(OmegaConf.to_container(config.objective, resolve=True))  # a bad objective shows here, not in a Ray worker
    bounds = diagnostics.BOUNDS | OmegaConf.to_container(config.warn)
    diagnostics.warnings({}, bounds)
    preflight.check_rows([config.data.train_files, config.data.val_files], config.data.train_batch_size)
    preflight.check_platform(config.hardware)
    start = policy.resolve(config.policy)
    preflight.check_memory(start, config.hardware)
    verl_config = _for_verl(config, start)
    run.record(policy=start, parquet=str(Path(config.parquet).resolve()))

    checkpoints = Path(verl_config.trainer.default_local_dir)
    resumed = policy.latest_checkpoint(checkpoints)
    step = int(resumed.name.removeprefix("global_step_")) if resumed else 0
    keep_steps_up_to(run.folder, step)
    total = config.trainer.total_training_steps
    run.say(f"{'resuming after step ' + str(step) if resumed else 'training'} for {total - step} steps; log: {run.log}")
    with MetricsFollower(
        run.folder, total, HEADLINE, run.say, lambda metrics: diagnostics.warnings(metrics, bounds)
    ) as follower:
        os.environ["VERL_FILE_LOGGER_PATH"] = str(follower.source)
        os.environ["TENSORBOARD_DIR"] = str(run.folder / "tensorboard")
        _run_on_ray(verl_config)

    target = run.folder / "policy"
    policy.export(policy.latest_checkpoint(checkpoints), target)
    return target


def _for_verl(config: DictConfig, policy_path: str) -> DictConfig:
    """The config as verl and its Ray workers get it: resolved, with absolute paths."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    config = config.copy()
    with open_dict(config):
        config.actor_rollout_ref.model.path = policy_path
        config.trainer.default_local_dir = str(Path(config.trainer.default_local_dir).resolve())
        config.trainer.validation_data_dir = str(Path(config.trainer.validation_data_dir).resolve())
        for files in ("train_files", "val_files"):
            config.data[files] = str(Path(config.data[files]).resolve())
    OmegaConf.resolve(config)
    validate_config(
        config=config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config)
    )
    return config


def _run_on_ray(config: DictConfig) -> None:
    """Run verl's trainer in a Ray cluster of its own (or the one that `hardware.ray.address` names), and leave none.

    A cluster of its own has its own folder, so it is neither found by another program nor finds one.
    """
    import ray
    from verl.trainer.main_ppo import TaskRunnerV1, run_ppo

    os.environ.update(config.hardware.ray.env)
    own_cluster = config.hardware.ray.address == "local"
    folder = tempfile.mkdtemp(prefix="vrft-ray-") if own_cluster else None  # short: it holds Unix sockets
    with open_dict(config):
        if own_cluster:
            config.ray_kwargs.ray_init._temp_dir = folder
    try:
        run_ppo(config, task_runner_class=TaskRunnerV1)
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
