"""Fine-tunes a policy on prepared answers (V-SFT), with verl's SFT trainer and one process per device."""

import uuid
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.engine.run import preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training import common
from vrft_aug.engine.training.checkpoints import Criterion
from vrft_aug.errors import InputError

HEADLINE = {"loss": "train/loss", "validation loss": "val/loss"}
BEST = Criterion("validation loss", "val/loss", min)


def train(config: DictConfig, run: Run) -> Path:
    """Train to the last step; returns the folder of the trained policy (see common.train).

    Raises InputError for more than one node.
    """
    preflight.prepare_environment(config.hardware)
    if config.trainer.nnodes > 1:
        raise InputError(f"trainer.nnodes={config.trainer.nnodes}: sft.py runs on one node; choose another hardware=")
    limit_key = "trainer.max_ckpt_to_keep"
    trainer = common.Trainer(HEADLINE, "model.path", limit_key, BEST, run_elastic, validates_in_batches=True)
    return common.train(config, run, trainer)


def run_elastic(config: DictConfig) -> None:
    """Do what `torchrun -m verl.trainer.sft_trainer` does, with a composed config."""
    preflight.check_platform(config.hardware)
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    launch = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=config.trainer.n_gpus_per_node, run_id=uuid.uuid4().hex,
        rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", max_restarts=0,
    )  # fmt: skip
    try:
        elastic_launch(launch, _worker)(config)
    except SignalException as signal:  # SIGINT, SIGTERM or SIGHUP; the workers have ended
        raise KeyboardInterrupt from signal


def _worker(config: DictConfig) -> None:
    """Do the same as verl/trainer/sft_trainer.py:452, and fix a resumption at the end of an epoch.

    The data order that was saved there has no rows left, so verl would skip the next epoch, or train nothing if that is
    the last. A new data loader starts the epoch from its first row.
    """
    from verl.trainer.sft_trainer import SFTTrainer
    from verl.utils.distributed import destroy_global_process_group, initialize_global_process_group

    initialize_global_process_group()
    trainer = SFTTrainer(config)
    if trainer.resume_global_step and trainer.resume_global_step % trainer.steps_per_epoch == 0:
        trainer._build_dataloader()
        trainer.ckpt_handler.train_dataloader = trainer.train_dataloader
    trainer.fit()
    destroy_global_process_group()
