"""V-SFT: supervised fine-tuning with verl's SFT trainer, one process a device."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from vrft_aug.engine import policy, preflight
from vrft_aug.engine.progress import MetricsFollower, keep_steps_up_to
from vrft_aug.engine.run_folder import Run

HEADLINE = {"loss": "train/loss", "validation loss": "val/loss"}


def train(config: DictConfig, run: Run) -> Path:
    """Train to `trainer.total_training_steps`, resuming from the newest checkpoint in the run's folder.

    Returns the folder of the trained policy in Hugging Face format, `<out>/policy`.
    Raises InputError before anything is started where data, machine or policy cannot work.
    """
    preflight.prepare_environment(config.hardware)
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
    if step < total:
        run.say(f"{'resuming after step ' + str(step) if resumed else 'training'} for {total - step} steps; log: {run.log}")
        with MetricsFollower(run.folder, total, HEADLINE, run.say) as follower:
            os.environ["VERL_FILE_LOGGER_PATH"] = str(follower.source)
            os.environ["TENSORBOARD_DIR"] = str(run.folder / "tensorboard")
            _run_elastic(verl_config)

    target = run.folder / "policy"
    policy.export(policy.latest_checkpoint(checkpoints), target)
    return target


def _for_verl(config: DictConfig, policy_path: str) -> DictConfig:
    config = config.copy()
    with open_dict(config):
        config.model.path = policy_path
        config.trainer.default_local_dir = str(Path(config.trainer.default_local_dir).resolve())
    OmegaConf.resolve(config)
    return config


def _run_elastic(config: DictConfig) -> None:
    """What `torchrun -m verl.trainer.sft_trainer` does, with a config that is composed already."""
    import uuid

    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    launch = LaunchConfig(
        min_nodes=config.trainer.nnodes,
        max_nodes=config.trainer.nnodes,
        nproc_per_node=config.trainer.n_gpus_per_node,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=0,
    )
    elastic_launch(launch, _worker)(config)


def _worker(config: DictConfig) -> None:
    from verl.trainer.sft_trainer import run_sft

    run_sft(config)
