"""Checks that samples which end together reach the queue in one call, as verl would have put them one by one."""

import asyncio

import pytest
import torch

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import transfer_queue
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from vrft_aug.engine.verl.agent_loop import PromptOnceWorker
from vrft_aug.engine.verl.stored_together import CollectingQueue, store_together


@pytest.fixture
def puts(monkeypatch) -> list[dict]:
    """The calls that reach the real queue."""
    calls = []

    async def put(**call) -> None:
        await asyncio.sleep(0)
        calls.append(call)

    monkeypatch.setattr(transfer_queue, "async_kv_batch_put", put)
    monkeypatch.setattr(agent_loop_tq, "tq", transfer_queue)
    monkeypatch.setattr(agent_loop_tq, "list_of_dict_to_tensordict", list_of_dict_to_tensordict)
    return calls


def row(number: int, **more) -> tuple[list[str], list[dict], list[dict]]:
    fields = {"tokens": torch.arange(number + 1), "name": f"row {number}"} | more
    return [f"key {number}"], [fields], [{"length": number + 1}]


def store(*rows: tuple, partition: str = "train") -> None:
    queue = CollectingQueue()

    async def everything() -> None:
        await asyncio.gather(*(queue.async_kv_batch_put(keys=keys, partition_id=partition, fields=fields, tags=tags)
                               for keys, fields, tags in rows))  # fmt: skip

    asyncio.run(everything())


def test_rows_of_one_turn_are_one_call(puts):
    store(*map(row, range(3)), partition="val")
    [call] = puts
    assert call["keys"] == ["key 0", "key 1", "key 2"] and call["partition_id"] == "val"
    assert call["tags"] == [{"length": 1}, {"length": 2}, {"length": 3}]
    assert [one.tolist() for one in call["fields"]["tokens"].unbind()] == [[0], [0, 1], [0, 1, 2]]
    assert list(call["fields"]["name"]) == ["row 0", "row 1", "row 2"]


def test_rows_with_other_columns_are_a_call_of_their_own(puts):
    store(row(0), row(1, score=torch.tensor(0.5)), row(2))
    assert [call["keys"] for call in puts] == [["key 0", "key 2"], ["key 1"]]
    assert [set(call["fields"].keys()) for call in puts] == [{"tokens", "name"}, {"tokens", "name", "score"}]


def test_an_error_of_the_queue_reaches_every_sample(monkeypatch):
    async def put(**call) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(transfer_queue, "async_kv_batch_put", put)
    queue = CollectingQueue()

    async def everything() -> list:
        waiting = (queue.async_kv_batch_put(keys=keys, partition_id="train", fields=fields, tags=tags)
                   for keys, fields, tags in map(row, range(2)))  # fmt: skip
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(error) for error in asyncio.run(everything())] == [ConnectionError] * 2


def test_verls_worker_stores_the_same_in_fewer_calls(puts):
    worker = PromptOnceWorker.__new__(PromptOnceWorker)
    worker.processor, worker.distillation_enabled, worker.reward_loop_worker_handles = None, False, None
    worker._compute_multi_modal_inputs = lambda output, ids: {}

    async def everything() -> None:
        samples = (AgentLoopOutput(prompt_ids=[1, 2], response_ids=[3] * n, response_mask=[1] * n, metrics={})
                   for n in (1, 2, 3))  # fmt: skip
        rows = ({"uid": "u", "session_id": number, "global_steps": 1} for number in range(3))
        await asyncio.gather(*(worker._agent_loop_postprocess(sample, False, **one)
                               for sample, one in zip(samples, rows, strict=True)))  # fmt: skip

    asyncio.run(everything())
    alone = puts.copy()
    puts.clear()
    store_together()
    asyncio.run(everything())
    [call] = puts
    assert len(alone) == 3 and call["keys"] == ["u_0_0", "u_1_0", "u_2_0"]
    assert call["keys"] == [key for one in alone for key in one["keys"]]
    assert call["tags"] == [tag for one in alone for tag in one["tags"]]
    assert set(call["fields"].keys()) == set(alone[0]["fields"].keys()) >= {"input_ids", "position_ids", "responses"}
    for column in ("input_ids", "responses", "loss_mask"):
        expected = [one["fields"][column][0].tolist() for one in alone]
        assert [one.tolist() for one in call["fields"][column].unbind()] == expected


def test_everything_else_is_the_queues_own():
    assert CollectingQueue().async_kv_put is transfer_queue.async_kv_put
    with pytest.raises(AttributeError):
        CollectingQueue().no_such_function  # noqa: B018
