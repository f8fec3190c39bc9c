"""Shares work among the samples of one prompt, and collects calls that arrive at about the same time into one."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

# What the samples of the current prompt share, by name; None: they share nothing.
SHARED: ContextVar[dict[str, Any] | None] = ContextVar("what the samples of one prompt share", default=None)
COLLECT_SECONDS = 0.005  # long compared with the time in which the calls arrive, short compared with their work


async def once(name: str, make: Callable[[], Awaitable[Any]]) -> Any:
    """Return the result of `make` (or raise its error); only the first of a prompt's samples calls `make`."""
    shared = SHARED.get()
    assert shared is not None, "called outside of a prompt"
    if name not in shared:
        shared[name] = asyncio.ensure_future(make())
    return await shared[name]


async def apart(work: Callable[[list], Awaitable[list]], items: list) -> list:
    """The results of `work` for all items; where that fails, each item's own result or error."""
    try:
        return await work(items)
    except Exception as error:
        if len(items) == 1:
            return [error]
    alone = await asyncio.gather(*(apart(work, [item]) for item in items))
    return [result for (result,) in alone]


class Together:
    """Collects the items that callers bring within `seconds` of the first, and passes them to one call of `work`."""

    def __init__(self, work: Callable[[list], Awaitable[list]], seconds: float):
        self._work, self._seconds = work, seconds
        self._waiting: list[tuple[Any, asyncio.Future]] = []
        self._working: set[asyncio.Task] = set()  # keeps references, or the garbage collector might end the tasks

    async def __call__(self, item: Any) -> Any:
        """Return the result of `work` for `item`, or raise its error: that of the call, or one in place of a result."""
        result = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if len(self._waiting) == 1:
            task = asyncio.create_task(self._do())
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        return await result

    async def _do(self) -> None:
        await asyncio.sleep(self._seconds)
        waiting, self._waiting = self._waiting, []
        try:
            results = await self._work([item for item, _ in waiting])
        except Exception as error:
            results = [error] * len(waiting)
        for (_, future), result in zip(waiting, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
