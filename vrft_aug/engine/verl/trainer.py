"""Subclasses verl's trainer: a file stops it, a loss that is not finite ends it, and prompts have names by their place.

Batches can be balanced, and groups weighted. Some groups of each step are kept for a person to read, and shown in the
trackers.

verl 0.9.1 draws a random name for each prompt (trainer_base.py:1476). The samples' seeds (agent_loop.py) and their
order in the update (replay_buffer.py) follow from the name, so neither depends on the order in which samples end.
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.utils.debug import marked_timer
from verl.utils.tensordict_utils import assign_non_tensor_stack
from verl.workers.rollout.llm_server import LLMServerClient

from vrft_aug.engine.run.watch import STOP
from vrft_aug.engine.training.group_weights import GroupWeights
from vrft_aug.engine.training.rollout_rule import RolloutRule
from vrft_aug.engine.verl import decoupled_advantage, scored_samples
from vrft_aug.engine.verl.balanced import BalancedSampler
from vrft_aug.engine.verl.kept_rollouts import Results, RolloutKeeper
from vrft_aug.engine.verl.llm_client import PromptOnceClient
from vrft_aug.engine.verl.llm_server import PromptOnceReplica
from vrft_aug.engine.verl.row_images import RowImages
from vrft_aug.engine.verl.tracked_rollouts import TrackedRollouts
from vrft_aug.engine.verl.weighted import weigh_advantages
from vrft_aug.rewards import compose

FINITE = ("actor/grad_norm", "actor/loss", "actor/pg_loss", "actor/kl_loss")


class StoppableTrainer(PPOTrainerSync):
    """verl's trainer with these additions; lives in the task runner's process (task_runner.py)."""

    _rollouts: RolloutKeeper | None = None
    _tracked: TrackedRollouts | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._objective = compose(self.config.objective)
        self._named: Counter[int] = Counter()  # number of prompts that have a name, by step
        self._weights = GroupWeights.of(self.config)

    def _init_dataloader(self) -> None:
        """With `schedule.balanced`, order the rows so that each batch has each class equally often."""
        super()._init_dataloader()
        if rule := RolloutRule.of_config(self.config):
            datasets = {"train": self.train_dataset, "val": self.val_dataset}
            run = Path(self.config.trainer.default_local_dir).parent
            self._rollouts = RolloutKeeper.of(rule, run, self._objective, self.tokenizer, datasets)
            self._tracked = TrackedRollouts(RowImages.of(datasets)) if rule.track else None
            self.replay_buffer.after_validation = self._keep
        if self.config.data.balanced:
            sampler = BalancedSampler(self.train_dataset.labels(), self.config.data.seed)
            self.train_dataloader.batch_sampler.sampler = sampler

    def get_llm_client(self) -> LLMServerClient:
        """Our client for our servers, and verl's for verl's (share_prompts=false, or `rollout.name=sglang`)."""
        servers = self.llm_server_manager
        takes_prompts = issubclass(servers.rollout_replica_class, PromptOnceReplica)
        return servers.get_client(PromptOnceClient if takes_prompts else LLMServerClient)

    def _next_train_batch(self, num_prompts: int | None = None) -> TensorDict:
        """Name the prompts, for instance 00007.0015: the sixteenth prompt of step 7."""
        batch = super()._next_train_batch(num_prompts)
        step, first = self.global_steps, self._named[self.global_steps]
        self._named[step] += len(batch)
        names = [f"{step:05}.{first + place:04}" for place in range(len(batch))]
        assign_non_tensor_stack(batch, "uid", names)
        if self._rollouts:
            self._rollouts.name(names, list(batch["extra_info"]))
        return batch

    def _balance_batch(self, batch: KVBatchMeta, *args: Any, **kwargs: Any) -> KVBatchMeta:
        """verl deals samples to the devices; on a CPU, deal whole prompts, which are computed once (engine/cpu)."""
        batch = super()._balance_batch(batch, *args, **kwargs)
        if self.config.hardware.share_prompts and self.config.hardware.device == "cpu":
            devices = max(self.actor_rollout_wg._dispatch_info["actor"]) + 1
            if order := scored_samples.dealt(batch.keys, [tag["seq_len"] for tag in batch.tags], devices):
                batch.reorder(order)
        return batch

    def on_step_end(self) -> None:
        """Make this step the last one if the stop file exists."""
        super().on_step_end()
        with marked_timer("track_rollouts", self.timing_raw):
            self._track()
        if Path(self.config.trainer.default_local_dir, STOP).exists():
            self.total_training_steps = self.global_steps

    def on_validate_end(self) -> None:
        super().on_validate_end()
        self._track()

    def _track(self) -> None:
        """Show what was kept in verl's trackers. verl logs the numbers of the same step after it."""
        if self._tracked:
            self._tracked.send(self.logger.logger, self.global_steps)

    def on_train_end(self) -> None:
        """Save a checkpoint. verl calls this only if the loop ended before the step that it took for the last."""
        super().on_train_end()
        self.global_steps -= 1  # verl has counted on already
        if self.global_steps % self.config.trainer.save_freq:
            self._save_checkpoint()

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """verl's advantages, times the weights of their groups (`group_weight`).

        With `adv_estimator: gdpo`, verl gets an estimator that knows the batch's rewards one by one.
        """
        if self.config.algorithm.adv_estimator == decoupled_advantage.NAME:
            decoupled_advantage.register(scored_samples.results(batch), self._objective)
        batch = super()._compute_advantage(batch, metrics)
        if self._weights:
            batch = weigh_advantages(batch, self._weights, metrics)
        if self._rollouts:
            with marked_timer("keep_rollouts", self.timing_raw):
                self._keep("train", self.replay_buffer.results)
        return batch

    def _keep(self, split: str, results: Results) -> None:
        """Write some of the groups with these results, in the thread in which verl writes such files."""
        assert self._rollouts
        if (chosen := self._rollouts.choose(split, results)).keys:
            kept = self.global_steps, chosen, self._rollouts.fields(chosen), results
            written = self._dump_executor.submit(self._rollouts.write, *kept)
            self._dump_futures.append(written)
            if self._tracked:
                self._tracked.prepare(split, self._dump_executor, written)

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Raise FloatingPointError for a loss or gradient that is NaN or infinite.

        verl skips an update with such a gradient (transformer_impl.py:822) and continues. Here the batch's prompts,
        responses and scores are written to the folder `non_finite` first.
        """
        batch = super()._update_actor(batch, metrics)
        broken = [name for name in FINITE if not math.isfinite(metrics.get(name, 0))]
        if broken:
            folder = Path(self.config.trainer.default_local_dir).with_name("non_finite")
            self._log_rollout_data(batch, self.timing_raw, str(folder))
            self._shutdown_dump_executor()  # waits for the thread in which verl writes
            what = f"{broken[0]} is {metrics[broken[0]]} at step {self.global_steps}; its batch is in {folder}"
            raise FloatingPointError(f"{what}: lower the learning rate, or leave out its rows; the same command "
                                     "resumes from the last checkpoint")  # fmt: skip
        return batch
