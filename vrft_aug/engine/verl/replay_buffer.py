"""verl's replay buffer, which tells the trainer what the rewards were made of and does not sleep through a step.

Named in conf/grpo.yaml as `trainer.v1.sampler.custom_sampler`, verl's own extension point. verl 0.9.1 logs the parts
of a reward for validation only; what this class returns as sampling metrics reaches the log of every training step.
"""

import itertools

import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from vrft_aug.rewards import diagnostics

POLL_SECONDS = 0.05  # verl's 2 s round the generation time up to multiples of two seconds


class RewardLoggingReplayBuffer(ReplayBuffer):
    """Adds `reward/<task>/<part>` and the signs of reward hacking (vrft_aug/rewards/diagnostics.py) to each step."""

    def __init__(self, **kwargs):
        super().__init__(poll_interval=POLL_SECONDS, **kwargs)
        self._validation: dict[str, float] = {}

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[KVBatchMeta, dict]:
        """As verl's: the batch, in which the samples of a prompt stand together, and its metrics."""
        batch, metrics = super().sample(global_steps, partition_id, batch_size)
        batch.reorder(_by_prompt(batch.keys))
        measured = _measure(batch)
        if partition_id == "val":
            self._validation = measured
            return batch, metrics
        return batch, metrics | measured | diagnostics.score_gap(measured, self._validation)


def _by_prompt(keys: list[str]) -> list[int]:
    """Places of the keys, prompt after prompt: samples come as they end, a late one after those of the next prompt."""
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(_prompt(key), []).append(place)
    return list(itertools.chain.from_iterable(places.values()))


def _prompt(key: str) -> str:
    return key.split("_")[0]  # {prompt}_{session}_{output}


def _measure(batch: KVBatchMeta) -> dict[str, float]:
    fields = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
    samples = [field["reward_extra_info"] for field in fields["extra_fields"]]
    return diagnostics.measure(samples, list(map(_prompt, batch.keys)))
