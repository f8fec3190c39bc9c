"""Draws prompts until a batch has only groups whose scores differ: dynamic sampling (DAPO, arXiv 2503.14476, eq. 11).

A group of equal scores has no advantage and teaches nothing. verl 0.9.1's replay buffer replaces such groups whenever
one ends, in an order that no two runs share, and goes on forever where all are equal. Here prompts are drawn in rounds:
all samples of a round end before the next begins, so that a run with the same seed draws the same prompts.
"""

from collections import defaultdict
from collections.abc import Callable, Collection

import transfer_queue as tq
from transfer_queue import KVBatchMeta

from vrft_aug.engine.training.group_filter import KEY, GroupFilter
from vrft_aug.engine.verl import scored_samples
from vrft_aug.errors import RunFailed
from vrft_aug.rewards.diagnostics import EQUAL

EVICTED = "training/filter_groups/evicted_samples"  # verl's names; it counts groups too
SURPLUS = "training/filter_groups/discarded_surplus_samples"


def fill(
    rule: GroupFilter, batch_size: int, sample: Callable[[int], KVBatchMeta], refill: Callable[[int], object]
) -> tuple[KVBatchMeta, dict[str, float]]:
    """The samples of `batch_size` prompts, and the metrics: groups that were equal, and groups that were too many.

    sample: waits for the samples of a number of prompts; the first batch is on its way. refill: sends further prompts.
    Raises RunFailed where `rule.most` prompts do not fill the batch.
    """
    kept, drawn, count = KVBatchMeta(partition_id="train"), 0, batch_size
    while len(names := _names(kept)) < batch_size:
        if drawn:
            count = rule.next(batch_size, drawn, len(names))
            if not count:
                raise RunFailed(_dead_end(rule, batch_size, drawn, len(names)))
            refill(count)
        found = sample(count)
        drawn += count
        found = _only(found, _different(found, rule.metric))
        kept = KVBatchMeta(kept.keys + found.keys, kept.tags + found.tags, kept.partition_id)
    return _only(kept, names[:batch_size]), {EVICTED: drawn - len(names), SURPLUS: len(names) - batch_size}


def _names(batch: KVBatchMeta) -> list[str]:
    """The prompts of a batch in the order in which they were drawn, which their names say (trainer.py)."""
    return sorted(set(scored_samples.prompts(batch.keys)))


def _different(batch: KVBatchMeta, metric: str) -> set[str]:
    """The prompts whose samples differ in the metric."""
    values = defaultdict(list)
    for prompt, result in zip(scored_samples.prompts(batch.keys), scored_samples.results(batch), strict=True):
        values[prompt].append(result[metric] or 0.0)  # None: the prompt's task does not have this part
    return {prompt for prompt, found in values.items() if max(found) - min(found) >= EQUAL}


def _only(batch: KVBatchMeta, prompts: Collection[str]) -> KVBatchMeta:
    """The samples of these prompts; the others are removed from the queue."""
    chosen = [prompt in prompts for prompt in scored_samples.prompts(batch.keys)]
    others = [key for key, one in zip(batch.keys, chosen, strict=True) if not one]
    if others:
        tq.kv_clear(keys=others, partition_id=batch.partition_id)
    return batch.select_keys([key for key, one in zip(batch.keys, chosen, strict=True) if one])


def _dead_end(rule: GroupFilter, batch_size: int, drawn: int, kept: int) -> str:
    equal = "all groups are equal" if not kept else f"{drawn - kept} of {drawn} groups are equal"
    return (f"dynamic sampling cannot fill a batch: {equal} in {rule.metric} after {drawn} prompts, and a batch needs "
            f"{batch_size} that differ: train with variant=grpo, on prompts of middle difficulty (difficulty.probe), "
            f"or with a larger {KEY}.max_num_gen_batches")  # fmt: skip
