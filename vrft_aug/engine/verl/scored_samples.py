"""Reads from verl's queue what the reward manager found for samples, and which prompt each of them answers."""

from collections.abc import Sequence
from typing import Any

import transfer_queue as tq
from transfer_queue import KVBatchMeta


def results(batch: KVBatchMeta) -> list[dict[str, Any]]:
    """The result of `compute_score` for each sample, in the order of `batch.keys`."""
    fields = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
    return [field["reward_extra_info"] for field in fields["extra_fields"]]


def prompts(keys: Sequence[str]) -> list[str]:
    """The name of the prompt of each sample; a sample's key is {prompt}_{session}_{output}."""
    return [key.split("_")[0] for key in keys]


def order(keys: Sequence[str]) -> list[int]:
    """Positions of the keys, ordered by prompt, then sample. verl orders samples by the time at which they ended."""

    def name(place: int) -> tuple[str, int, int]:
        prompt, session, output = keys[place].split("_")
        return prompt, int(session), int(output)

    return sorted(range(len(keys)), key=name)
