"""verl's replay buffer, which tells the trainer what the rewards were made of and does not sleep through a step.

Named in conf/grpo.yaml as `trainer.v1.sampler.custom_sampler`, verl's own extension point.
"""

import math
from collections import defaultdict

import transfer_queue as tq
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

POLL_SECONDS = 0.05  # verl's 2 s round the generation time up to multiples of two seconds


class RewardLoggingReplayBuffer(ReplayBuffer):
    """Adds `reward/<task>/<part>`, the mean of every reward part over the batch, to the metrics of each step."""

    def __init__(self, **kwargs):
        super().__init__(poll_interval=POLL_SECONDS, **kwargs)

    def sample(self, global_steps: int, partition_id: str, batch_size: int):
        batch, metrics = super().sample(global_steps, partition_id, batch_size)
        if partition_id == "train":
            fields = tq.kv_batch_get(
                keys=batch.keys, partition_id=partition_id, select_fields=["extra_fields", "extra_info"]
            )
            parts = [field["reward_extra_info"] for field in fields["extra_fields"]]
            tasks = [info["task"] for info in fields["extra_info"]]
            metrics |= mean_parts(tasks, parts)
        return batch, metrics


def mean_parts(tasks: list[str], parts: list[dict]) -> dict[str, float]:
    """Mean of every numeric reward part over the samples of each task; NaN marks a part that a task does not have."""
    values = defaultdict(list)
    for task, part in zip(tasks, parts, strict=True):
        for name, value in part.items():
            if isinstance(value, int | float) and not math.isnan(value):
                values[f"reward/{task}/{name}"].append(float(value))
    return {name: sum(found) / len(found) for name, found in values.items()}
