"""Gives each step its batch of samples, and adds the parts of the reward to the step's metrics.

conf/grpo.yaml names the class as `trainer.v1.sampler.custom_sampler`, an extension point of verl. verl 0.9.1 logs the
parts of a reward for validation only; the metrics that `sample` returns here reach the log of every training step.
verl logs an error in a sample and goes on without the sample; here a metric, and with it a warning, counts its prompt.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from vrft_aug.engine.training.group_filter import GroupFilter
from vrft_aug.engine.verl import dynamic_sampling, scored_samples
from vrft_aug.rewards import compose, diagnostics

FAILED = "rollout/failed_prompts"  # prompts of a training step of which a sample ended with an error
POLL_SECONDS = 0.02  # verl polls every 2 s, which rounds the time of a rollout up to a multiple of 2 s


class RewardLoggingReplayBuffer(ReplayBuffer):
    """Logs `reward/<task>/<part>` and the signs of reward hacking (vrft_aug/rewards/diagnostics.py) per step.

    With `algorithm.filter_groups` it samples dynamically (dynamic_sampling.py).
    """

    def __init__(self, **kwargs: Any):
        """Raises InputError where `trainer.v1.sampler.sampler_kwargs` has no objective (conf/grpo.yaml sets it)."""
        super().__init__(poll_interval=POLL_SECONDS, **kwargs)
        self._objective = compose(self.sampler_kwargs.get("objective"))
        self._filter = GroupFilter.of(self.sampler_kwargs.get("filter_groups"))
        self._failed = 0
        self._validation: dict[str, float] = {}
        self.results: dict[str, dict[str, Any]] = {}  # of the last training batch: a sample's key -> its result
        self.after_validation: Callable[[str, dict[str, dict[str, Any]]], None] = lambda split, results: None

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """Return a batch in the order of its prompts and samples, and its metrics: verl's, or of dynamic sampling."""
        self._failed = 0
        wait = partial(self._wait, global_steps, partition_id)
        if self._filter and partition_id == "train":
            batch, metrics = dynamic_sampling.fill(self._filter, batch_size, lambda n: wait(n)[0], self.refill_fn)
        else:
            batch, metrics = wait(batch_size)
        batch.reorder(scored_samples.order(batch.keys))
        samples, groups = scored_samples.results(batch), scored_samples.prompts(batch.keys)
        results = dict(zip(batch.keys, samples, strict=True))
        measured = diagnostics.measure(samples, groups, self._objective)
        if partition_id == "val":
            self._validation = measured
            self.after_validation("val", results)
            return batch, metrics
        self.results = results
        return batch, metrics | measured | diagnostics.score_gap(measured, self._validation) | {FAILED: self._failed}

    def _wait(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """verl's `sample`; counts the prompts of the batch that it then knows to have failed."""
        found = super().sample(global_steps, partition_id, batch_size)
        self._failed += len(self.failure_keys[partition_id])
        return found
