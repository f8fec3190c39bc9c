"""What the samples of one prompt share, and how callers that come at about the same time are served together."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

SHARED: ContextVar[dict[str, Any] | None] = ContextVar("what the samples of one prompt share; None: nothing")
COLLECT_SECONDS = 0.02  # long beside the calls that are collected, short beside what they ask for


async def once(name: str, make: Callable[[], Awaitable[Any]]) -> Any:
    """What `make` returns or raises, called by the first of a prompt's samples for all of them."""
    shared = SHARED.get()
    if name not in shared:
        shared[name] = asyncio.ensure_future(make())
    return await shared[name]


class Together:
    """Collects what callers bring within `seconds` of the first, and does `work` on all of it at once."""

    def __init__(self, work: Callable[[list], Awaitable[list]], seconds: float):
        self._work, self._seconds = work, seconds
        self._waiting: list[tuple[Any, asyncio.Future]] = []
        self._working: set[asyncio.Task] = set()  # held, or they might be collected as garbage

    async def __call__(self, item: Any) -> Any:
        """The result of `work` for `item`, or its error."""
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
