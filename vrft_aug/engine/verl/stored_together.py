"""Lets samples that end together go into verl's data queue in one call.

verl 0.9.1 (agent_loop_tq.py:222) puts each sample on its own: with 16 prompts of 8 samples these are 128 calls per
step, each with several messages and a table of one row. Samples of equal length end at the same time, and then wait for
one another.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

import transfer_queue
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from vrft_aug.engine.verl.patches import require_version
from vrft_aug.engine.verl.shared_prompt import Together


class Stored(NamedTuple):
    """What verl stores of one sample. tag: what the queue can be searched by."""

    key: str
    fields: dict[str, Any]
    tag: dict[str, Any]


def store_together() -> None:
    """Make the rollout workers that this process starts use `CollectingQueue` in place of the module `transfer_queue`.

    Ray sends an actor's inherited methods with a copy of the names that they use, so this is done where they start.
    """
    require_version("verl")
    agent_loop_tq.tq = CollectingQueue()
    agent_loop_tq.list_of_dict_to_tensordict = list  # the queue gets rows, and makes one table of all that it collects


class CollectingQueue:
    """The functions of `transfer_queue`; those puts that arrive in one turn of the event loop become one."""

    def __init__(self) -> None:
        self._together: dict[str, Together] = {}  # by partition: train, val

    async def async_kv_batch_put(
        self, keys: list[str], partition_id: str, fields: list[dict[str, Any]], tags: list[dict[str, Any]]
    ) -> None:
        """Return when the rows are in the queue. fields, tags: one per key."""

        async def put(collected: list[list[Stored]]) -> list[None]:
            for samples in alike(chain.from_iterable(collected)):
                await transfer_queue.async_kv_batch_put(
                    keys=[sample.key for sample in samples], tags=[sample.tag for sample in samples],
                    fields=list_of_dict_to_tensordict([sample.fields for sample in samples]), partition_id=partition_id,
                )  # fmt: skip
            return [None] * len(collected)

        together = self._together.setdefault(partition_id, Together(put, seconds=0))
        await together(list(map(Stored, keys, fields, tags)))

    def __getattr__(self, name: str) -> Any:
        return getattr(transfer_queue, name)


def alike(samples: Iterable[Stored]) -> list[list[Stored]]:
    """The samples, those with equal columns together: the queue takes tables."""
    found: dict[tuple[str, ...], list[Stored]] = {}
    for sample in samples:
        found.setdefault(tuple(sample.fields), []).append(sample)
    return list(found.values())
