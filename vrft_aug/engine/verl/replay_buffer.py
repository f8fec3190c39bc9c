"""Adds the parts of the reward to each training step's metrics, by a subclass of verl's replay buffer.

conf/grpo.yaml names the class as `trainer.v1.sampler.custom_sampler`, an extension point of verl. verl 0.9.1 logs the
parts of a reward for validation only; the metrics that `sample` returns here reach the log of every training step.
"""

from typing import Any

import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from vrft_aug.rewards import Objective, compose, diagnostics

POLL_SECONDS = 0.05  # verl polls every 2 s, which rounds the time of a rollout up to a multiple of 2 s


class RewardLoggingReplayBuffer(ReplayBuffer):
    """Logs `reward/<task>/<part>` and the signs of reward hacking (vrft_aug/rewards/diagnostics.py) per step."""

    def __init__(self, **kwargs: Any):
        """Raises InputError where `trainer.v1.sampler.sampler_kwargs` has no objective (conf/grpo.yaml sets it)."""
        super().__init__(poll_interval=POLL_SECONDS, **kwargs)
        self._objective = compose(self.sampler_kwargs.get("objective"))
        self._validation: dict[str, float] = {}

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """Return verl's batch, in the order of its prompts and samples, and its metrics."""
        batch, metrics = super().sample(global_steps, partition_id, batch_size)
        batch.reorder(_by_prompt(batch.keys))
        measured = _measure(batch, self._objective)
        if partition_id == "val":
            self._validation = measured
            return batch, metrics
        return batch, metrics | measured | diagnostics.score_gap(measured, self._validation)


def _by_prompt(keys: list[str]) -> list[int]:
    """Positions of the keys, ordered by prompt, then sample. verl orders samples by the time at which they ended."""

    def name(place: int) -> tuple[str, int, int]:
        prompt, session, output = keys[place].split("_")
        return prompt, int(session), int(output)

    return sorted(range(len(keys)), key=name)


def _prompt(key: str) -> str:
    return key.split("_")[0]  # {prompt}_{session}_{output}


def _measure(batch: KVBatchMeta, objective: Objective) -> dict[str, float]:
    fields = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
    samples = [field["reward_extra_info"] for field in fields["extra_fields"]]
    return diagnostics.measure(samples, list(map(_prompt, batch.keys)), objective)
