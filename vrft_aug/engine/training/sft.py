"""V-SFT: supervised fine-tuning with verl's SFT trainer, one process a device."""

import uuid
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.engine.run import preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training.checkpoints import Criterion
from vrft_aug.engine.training.common import Trainer
from vrft_aug.engine.training.common import train as train_with
from vrft_aug.errors import InputError

HEADLINE = {"loss": "train/loss", "validation loss": "val/loss"}
BEST = Criterion("validation loss", "val/loss", min)


def train(config: DictConfig, run: Run) -> Path:
    """See training.py."""
    preflight.prepare_environment(config.hardware)
    if config.trainer.nnodes > 1:
        raise InputError(f"trainer.nnodes={config.trainer.nnodes}: sft.py runs on one node; choose another hardware=")
    trainer = Trainer(
        HEADLINE, "model.path", "trainer.max_ckpt_to_keep", BEST, run_elastic, validates_in_batches=True
    )
    return train_with(config, run, trainer)


def run_elastic(config: DictConfig) -> None:
    """What `torchrun -m verl.trainer.sft_trainer` does, with a config that is composed already."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
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
    try:
        elastic_launch(launch, _worker)(config)
    except SignalException as signal:  # SIGINT, SIGTERM or SIGHUP, once the workers have ended
        raise KeyboardInterrupt from signal


def _worker(config: DictConfig) -> None:
    """verl/trainer/sft_trainer.py:452, but for a resumption where an epoch ended: of the data's order that was saved
    there no row is left, so verl would pass over the next epoch, and train nothing where that is the last."""
    from verl.trainer.sft_trainer import SFTTrainer
    from verl.utils.distributed import destroy_global_process_group, initialize_global_process_group

    initialize_global_process_group()
    trainer = SFTTrainer(config)
    if trainer.resume_global_step and trainer.resume_global_step % trainer.steps_per_epoch == 0:
        trainer._build_dataloader()
        trainer.ckpt_handler.train_dataloader = trainer.train_dataloader
    trainer.fit()
    destroy_global_process_group()
