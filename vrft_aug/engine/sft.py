"""V-SFT: supervised fine-tuning with verl's SFT trainer, one process a device."""

import uuid
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.engine import preflight
from vrft_aug.engine.run_folder import Run
from vrft_aug.engine.training import Trainer
from vrft_aug.engine.training import train as train_with

HEADLINE = {"loss": "train/loss", "validation loss": "val/loss"}


def train(config: DictConfig, run: Run) -> Path:
    """See training.py."""
    preflight.prepare_environment(config.hardware)
    return train_with(config, run, Trainer(HEADLINE, "model.path", run_elastic))


def run_elastic(config: DictConfig) -> None:
    """What `torchrun -m verl.trainer.sft_trainer` does, with a config that is composed already."""
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
