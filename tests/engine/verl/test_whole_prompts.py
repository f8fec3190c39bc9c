"""Checks that on a CPU verl's devices get whole prompts, and elsewhere what verl deals to them."""

from types import SimpleNamespace

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync

from vrft_aug.configs import compose
from vrft_aug.engine.verl.trainer import StoppableTrainer

KEYS = [f"00001.{prompt:04}_{sample}_0" for prompt in range(4) for sample in range(2)]
VERLS = [5, 0, 3, 6, 1, 7, 2, 4]  # an order in which no prompt is whole


def balanced(monkeypatch, *overrides: str) -> list[str]:
    """The keys in the order in which two devices get them, four each."""

    def verls(self, batch: KVBatchMeta, *args, **kwargs) -> KVBatchMeta:
        batch.reorder(VERLS)
        return batch

    monkeypatch.setattr(PPOTrainerSync, "_balance_batch", verls)
    trainer = StoppableTrainer.__new__(StoppableTrainer)
    trainer.config = compose("grpo", list(overrides))
    trainer.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0, 1]})
    tags = [{"seq_len": 10 + place} for place in range(len(KEYS))]
    batch = KVBatchMeta(partition_id="train", keys=list(KEYS), tags=tags)
    return trainer._balance_batch(batch, metrics={}).keys


def test_a_device_gets_whole_prompts(monkeypatch):
    keys = balanced(monkeypatch, "hardware=cpu")
    assert sorted(keys) == KEYS
    for place in range(0, len(keys), 2):
        assert keys[place].startswith(keys[place + 1][:10]), "both samples of a prompt are neighbours"
    prompts = [{key[:10] for key in part} for part in (keys[:4], keys[4:])]
    assert [len(part) for part in prompts] == [2, 2]


@pytest.mark.parametrize("overrides", [["hardware=gpu_2x80g"], ["hardware=cpu", "hardware.share_prompts=false"]])
def test_elsewhere_verls_order_stays(monkeypatch, overrides):
    assert balanced(monkeypatch, *overrides) == [KEYS[place] for place in VERLS]
