"""The trainer multiplies verl's advantages by the weights of their groups, and balances its batches."""

from collections import Counter

import pytest
import torch
from repository import composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from vrft_aug.engine.training.group_weights import GroupWeights, WeightRule
from vrft_aug.engine.verl.balanced import BalancedSampler, interleaved
from vrft_aug.engine.verl.trainer import StoppableTrainer

SCORES = {"a": (1.0, 0.1, 0.1, 1.0), "b": (1.0, 1.0, 0.1, 1.0), "c": (0.0, 0.1, 0.1, 0.1)}
TRUTHS = {"a": "0", "b": "1", "c": "0"}
LENGTHS = (3, 5, 2, 4)


class Queue:
    """The rows of a step in this process, under the two names by which verl reads and writes its TransferQueue."""

    def __init__(self):
        samples = [(prompt, place, score) for prompt, scores in SCORES.items() for place, score in enumerate(scores)]
        self.keys = [f"{prompt}_{place}_0" for prompt, place, _ in samples]
        self.tags = [{} for _ in self.keys]
        self.fields = list_of_dict_to_tensordict([self.sample(*one) for one in samples])

    def sample(self, prompt: str, place: int, score: float) -> dict:
        length = LENGTHS[place]
        rewards = torch.zeros(length)
        rewards[-1] = score
        info = {"task": "classification", "classes": ["0", "1"], "aliases": [], "readers": []}
        told = {"prediction": TRUTHS[prompt] if score == 1 else f"{place}"}
        return {"uid": prompt, "response_mask": torch.ones(length), "rm_scores": rewards, "data_source": "toy",
                "reward_model": {"ground_truth": TRUTHS[prompt]}, "extra_info": info,
                "extra_fields": {"reward_extra_info": told}}  # fmt: skip

    def kv_batch_get(self, keys, partition_id, select_fields):
        assert keys == self.keys
        return self.fields.select(*select_fields, strict=False)

    def kv_batch_put(self, keys, partition_id, fields):
        assert keys == self.keys
        self.fields.update(fields)
        return self.batch()

    def batch(self) -> KVBatchMeta:
        return KVBatchMeta(partition_id="train", keys=self.keys, tags=self.tags)


def advantages(monkeypatch, kind: type, rule: WeightRule | None, padding: int = 0) -> tuple[list, dict]:
    """The advantages that a trainer leaves in the queue, and what it logs. padding: that many samples are verl's."""
    queue, metrics = Queue(), {}
    for tag in queue.tags[len(queue.keys) - padding :]:
        tag["is_padding"] = True
    monkeypatch.setattr(tq, "kv_batch_get", queue.kv_batch_get)
    monkeypatch.setattr(tq, "kv_batch_put", queue.kv_batch_put)
    trainer = object.__new__(kind)
    trainer.config = composed("grpo")
    rows = [queue.sample(prompt, 0, 1) for prompt in SCORES]
    trainer._weights = rule and GroupWeights.of_rows(rule, rows, balanced=False)
    trainer._compute_advantage(queue.batch(), metrics)
    return [tokens.tolist() for tokens in queue.fields["advantages"].unbind()], metrics


def test_each_advantage_is_verls_times_the_weight_of_its_group(monkeypatch):
    verls, _ = advantages(monkeypatch, PPOTrainerSync, None)
    assert [len(tokens) for tokens in verls] == 3 * list(LENGTHS) and all(tokens[0] for tokens in verls)
    same, nothing = advantages(monkeypatch, StoppableTrainer, None)
    assert same == verls and not any(name.startswith("group_weight") for name in nothing)
    found, metrics = advantages(monkeypatch, StoppableTrainer, WeightRule(1, 0, 0))
    weight = {"a": 3 / 4, "b": 3 / 2, "c": 3 / 4}  # two rows of class 0, one of class 1
    for place, (tokens, before) in enumerate(zip(found, verls, strict=True)):
        assert tokens == pytest.approx([weight["abc"[place // 4]] * one for one in before])
    assert metrics == {"group_weight/mean": 1.0, "group_weight/min": 3 / 4, "group_weight/max": 3 / 2}


def test_the_spread_of_a_groups_own_answers_weighs_it(monkeypatch):
    """a: 0 1 2 0; b: 1 1 2 1; c: 0 1 2 3. Entropies over log 4: 3/4, 0.406, 1."""
    verls, _ = advantages(monkeypatch, PPOTrainerSync, None)
    found, metrics = advantages(monkeypatch, StoppableTrainer, WeightRule(0, 0, 1))
    spreads = torch.tensor([0.75, 0.405639, 1.0], dtype=torch.float64)
    weight = (spreads / spreads.mean()).tolist()
    assert [found[4 * i][0] / verls[4 * i][0] for i in range(3)] == pytest.approx(weight, rel=1e-5)
    assert metrics["group_weight/mean"] == pytest.approx(1) and metrics["group_weight/max"] == pytest.approx(weight[2])


def test_the_samples_by_which_verl_fills_a_batch_keep_their_advantage(monkeypatch):
    verls, _ = advantages(monkeypatch, PPOTrainerSync, None)
    found, metrics = advantages(monkeypatch, StoppableTrainer, WeightRule(1, 0, 0), padding=4)
    assert found[8:] == verls[8:] and found[0] == pytest.approx([3 / 4 * one for one in verls[0]])
    assert metrics == {"group_weight/mean": 9 / 8, "group_weight/min": 3 / 4, "group_weight/max": 3 / 2}


def test_classes_take_turns_in_the_order_that_was_drawn():
    assert interleaved([5, 0, 3, 1, 4, 2], list("aaabbb")) == [5, 0, 3, 1, 4, 2]
    assert interleaved([0, 1, 2, 3, 4, 5], list("aaabbb")) == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 6, 7, 12])
def test_every_batch_has_each_class_equally_often_or_once_more(batch_size):
    labels = [name for name in "abc" for _ in range(20)]
    for _ in range(2):  # two epochs of one sampler
        order = list(BalancedSampler(labels, seed=3))
        assert sorted(order) == list(range(60))
        for start in range(0, 60 - batch_size + 1):
            counts = Counter(labels[place] for place in order[start : start + batch_size])
            numbers = [counts[name] for name in "abc"]
            assert max(numbers) - min(numbers) <= (batch_size % 3 > 0)


class Rows(list):
    """Training rows as (class, number)."""

    def labels(self) -> list[str]:
        return [name for name, _ in self]


@pytest.fixture
def built(monkeypatch):
    """Builds the data loader of a trainer over 160 rows of four classes, as many of each."""
    from verl.trainer.ppo.v1 import trainer_base

    rows = Rows((name, number) for name in "abcd" for number in range(40))
    monkeypatch.setattr(trainer_base, "create_rl_dataset", lambda *_, **__: rows)
    monkeypatch.setattr(trainer_base, "collate_fn", list)

    def build(batch_size=8, seed=0):
        trainer = object.__new__(StoppableTrainer)
        trainer.config = composed("grpo", "schedule.balanced=true", f"schedule.batch_size={batch_size}", f"seed={seed}",
                                  "rollouts.keep=false")  # fmt: skip
        trainer.config = trainer.config.copy()
        trainer.trainer_mode, trainer.parameter_sync_step, trainer.tokenizer, trainer.processor = "sync", 1, None, None
        trainer._init_dataloader()
        return trainer.train_dataloader

    return build


def test_the_trainers_batches_are_balanced_in_every_epoch(built):
    batches = built()
    epochs = [list(batches) for _ in range(2)]
    assert [len(epoch) for epoch in epochs] == [20, 20] and epochs[0] != epochs[1]
    assert all(Counter(name for name, _ in batch) == dict.fromkeys("abcd", 2) for epoch in epochs for batch in epoch)
    assert all(len({row for batch in epoch for row in batch}) == 160 for epoch in epochs)


def test_the_seed_gives_the_order_and_a_checkpoint_continues_it(built):
    def take(iterator, number):
        return [next(iterator) for _ in range(number)]

    whole = take(iter(built(5)), 32)
    assert take(iter(built(5)), 32) == whole != take(iter(built(5, seed=1)), 32)
    stopped, resumed = built(5), built(5)
    first = take(iter(stopped), 7)
    resumed.load_state_dict(stopped.state_dict())
    assert first + take(iter(resumed), 25) == whole
