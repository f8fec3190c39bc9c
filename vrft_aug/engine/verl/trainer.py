"""verl's synchronous trainer, which can be asked to stop and does not go on from numbers that are none."""

import math
from pathlib import Path

from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.workers.rollout.llm_server import LLMServerClient

from vrft_aug.engine.training.grpo import STOP
from vrft_aug.engine.verl.llm_client import PromptOnceClient
from vrft_aug.engine.verl.llm_server import PromptOnceReplica

FINITE = ("actor/grad_norm", "actor/loss", "actor/pg_loss", "actor/kl_loss")


class StoppableTrainer(PPOTrainerSync):
    """As verl's; lives in the task runner's process (grpo.py)."""

    def get_llm_client(self) -> LLMServerClient:
        """verl's own where the servers are, as with `rollout.name=sglang`."""
        servers = self.llm_server_manager
        takes_prompts = issubclass(servers.rollout_replica_class, PromptOnceReplica)
        return servers.get_client(PromptOnceClient if takes_prompts else LLMServerClient)

    def on_step_end(self) -> None:
        super().on_step_end()
        if Path(self.config.trainer.default_local_dir, STOP).exists():
            self.total_training_steps = self.global_steps

    def on_train_end(self) -> None:
        """verl comes here only where the loop ended before its last step."""
        super().on_train_end()
        self.global_steps -= 1
        if self.global_steps % self.config.trainer.save_freq:
            self._save_checkpoint()

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """verl passes over an update whose gradient is not finite (transformer_impl.py:822) and trains on.

        Raises FloatingPointError, after the batch's prompts, responses and scores are written to `non_finite`.
        """
        batch = super()._update_actor(batch, metrics)
        broken = [name for name in FINITE if not math.isfinite(metrics.get(name, 0))]
        if broken:
            folder = Path(self.config.trainer.default_local_dir).with_name("non_finite")
            self._log_rollout_data(batch, self.timing_raw, str(folder))
            self._shutdown_dump_executor()  # waits for the thread in which verl writes
            raise FloatingPointError(
                f"{broken[0]} is {metrics[broken[0]]} at step {self.global_steps}; its batch is in {folder}: lower the "
                "learning rate, or leave out its rows; the same command goes on from the last checkpoint"
            )
        return batch
