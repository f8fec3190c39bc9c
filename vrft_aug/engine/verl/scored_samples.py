"""Reads from verl's queue how samples were scored, and puts samples in an order by the prompts that they answer."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions


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


def dealt(keys: Sequence[str], tokens: Sequence[int], devices: int) -> list[int]:
    """Positions of the keys, those of the first device first: each gets as many whole prompts, about as many tokens.

    [] if the prompts cannot be dealt equally, or differ in their number of samples.
    """
    names = prompts(keys)
    groups = [list(group) for _, group in groupby(order(keys), lambda place: names[place])]
    if len(groups) % devices or len(set(map(len, groups))) > 1:
        return []
    sums = [sum(tokens[place] for place in group) for group in groups]
    shares = get_seqlen_balanced_partitions(sums, devices, equal_size=True)
    return [place for share in shares for number in share for place in groups[number]]
