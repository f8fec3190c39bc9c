"""Checks dynamic sampling on a small queue: no equal group is left, a run repeats, and a dead end says why."""

import random

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from transfer_queue import KVBatchMeta

from vrft_aug.engine.training.group_filter import GroupFilter
from vrft_aug.engine.verl import dynamic_sampling, scored_samples
from vrft_aug.engine.verl.dynamic_sampling import EVICTED, SURPLUS, fill
from vrft_aug.errors import RunFailed

BATCH, SAMPLES = 4, 3
RULE = GroupFilter("score", most=5, at_once=1)


class Queue:
    """A stand-in for verl's queue: the prompts in the order of the data set, and whether their samples differ."""

    def __init__(self, differ: list[bool], seed: int = 0):
        self.differ, self.results, self.drawn, self.refills = differ, {}, 0, []
        self._random = random.Random(seed)

    def refill(self, count: int) -> None:
        self.refills.append(count)

    def sample(self, count: int) -> KVBatchMeta:
        """The samples of the next prompts, in an order of chance, as they end."""
        prompts = range(self.drawn, self.drawn + count)
        self.drawn += count
        found = {f"00001.{prompt:04}_{one}_0": {"score": float(self.differ[prompt] and one == 0), "acc": None}
                 for prompt in prompts for one in range(SAMPLES)}  # fmt: skip
        self.results |= found
        keys = self._random.sample(sorted(found), len(found))
        return KVBatchMeta(keys, [{"key": key} for key in keys], "train")


def filled(monkeypatch, differ: list[bool], seed: int = 0, rule: GroupFilter = RULE):
    queue = Queue(differ, seed)
    monkeypatch.setattr(scored_samples, "results", lambda batch: [queue.results[key] for key in batch.keys])
    monkeypatch.setattr(dynamic_sampling.tq, "kv_clear",
                        lambda keys, partition_id: [queue.results.pop(key) for key in keys])  # fmt: skip
    batch, metrics = fill(rule, BATCH, queue.sample, queue.refill)
    assert all(tag["key"] == key for key, tag in zip(batch.keys, batch.tags, strict=True))
    return batch, metrics, queue


def prompts(batch: KVBatchMeta) -> list[int]:
    return sorted({int(key[6:10]) for key in batch.keys})


def test_no_equal_group_is_left_and_evicted_groups_are_counted(monkeypatch):
    batch, metrics, queue = filled(monkeypatch, [True, False, False, True, True, False, True, True, True])
    assert prompts(batch) == [0, 3, 4, 6]
    assert len(batch) == BATCH * SAMPLES
    assert queue.refills == [4]  # 2 of 4 were kept: 4 more give the 2 that are missing
    assert metrics == {EVICTED: 3, SURPLUS: 1}
    assert set(queue.results) == set(batch.keys)  # nothing else stays in the queue


def test_a_batch_without_equal_groups_draws_no_more(monkeypatch):
    batch, metrics, queue = filled(monkeypatch, [True] * 4)
    assert (prompts(batch), queue.refills, metrics) == ([0, 1, 2, 3], [], {EVICTED: 0, SURPLUS: 0})


def test_the_same_prompts_are_drawn_whatever_the_order_in_which_samples_end(monkeypatch):
    differ = [bool(number % 3 == 0) for number in range(20)]
    found = [filled(monkeypatch, differ, seed) for seed in range(5)]
    assert {tuple(sorted(batch.keys)) for batch, *_ in found} == {tuple(sorted(found[0][0].keys))}
    assert {tuple(queue.refills) for *_, queue in found} == {(4, 3)}


def test_where_all_groups_are_equal_the_training_ends_and_says_so(monkeypatch):
    with pytest.raises(RunFailed, match="all groups are equal in score after 20 prompts, and a batch needs 4"):
        filled(monkeypatch, [False] * 100)
    with pytest.raises(RunFailed, match="17 of 20 groups are equal"):
        filled(monkeypatch, [True] * 3 + [False] * 100)


def test_another_part_of_the_objective_may_decide(monkeypatch):
    with pytest.raises(RunFailed, match="all groups are equal in acc after 20 prompts"):
        filled(monkeypatch, [True] * 20, rule=GroupFilter("acc", 5, 1))
