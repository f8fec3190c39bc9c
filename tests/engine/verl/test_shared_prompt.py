"""Checks that calls that arrive together are worked on together."""

import asyncio
from functools import partial

from vrft_aug.engine.verl.shared_prompt import Together, apart


def test_results_are_in_order_and_an_error_reaches_all_callers():
    batches = []

    async def double(items: list[int]) -> list[int]:
        batches.append(items)
        if 0 in items:
            raise ZeroDivisionError("zero")
        return [2 * item for item in items]

    async def ask(*items: int):
        together = Together(double, 0.01)
        first = await asyncio.gather(*map(together, items), return_exceptions=True)
        return first, await together(5)

    assert asyncio.run(ask(1, 2, 3)) == ([2, 4, 6], 10) and batches == [[1, 2, 3], [5]]
    failed, after = asyncio.run(ask(1, 0))
    assert [str(error) for error in failed] == ["zero", "zero"] and after == 10


def test_an_error_of_one_item_leaves_the_others_their_results():
    async def invert(items: list[int]) -> list[float]:
        return [1 / item for item in items]

    async def ask(*items: int) -> list:
        return await asyncio.gather(*map(Together(partial(apart, invert), 0.01), items), return_exceptions=True)

    two, zero, four = asyncio.run(ask(2, 0, 4))
    assert (two, four) == (0.5, 0.25) and isinstance(zero, ZeroDivisionError)


def test_a_cancelled_caller_does_not_delay_the_others():
    async def echo(items: list[int]) -> list[int]:
        return items

    async def ask() -> int:
        together = Together(echo, 0.01)
        first, second = (asyncio.create_task(together(number)) for number in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(second, 5)

    assert asyncio.run(ask()) == 2
