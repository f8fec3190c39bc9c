"""Answers with one engine per device (or tensor-parallel group), each in a process with its own range of the rows."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any, Protocol

from omegaconf import DictConfig

from vrft_aug.data.settings import Policy
from vrft_aug.evaluation.answers.generation import CHUNK, Generator

Answers = list[list[tuple[str, int]]]


class Answering(Protocol):
    """What generation.Generator can do."""

    def answer(self, prompts: Sequence[str], images: Sequence[bytes], say: Callable[[str], None]) -> Answers: ...


@contextmanager
def generator(
    path: str, policy: Policy, hardware: DictConfig, sampling: DictConfig, seed: int,
    make: Callable[..., Answering] = Generator,
) -> Iterator[Answering]:  # fmt: skip
    """The policy at `path`, in this process if one engine needs all devices of this machine, else in several.

    make: a class that takes the other arguments; it must be importable in another process.
    """
    groups = device_groups(hardware)
    if len(groups) == 1:
        yield make(path, policy, hardware, sampling, seed)
        return
    with ExitStack() as stack:
        pools = [
            # Each draws its own numbers: with the same seed all would draw the same.
            stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _start,
                                (devices, make, path, policy, hardware, sampling, seed + number)))
            for number, devices in enumerate(groups)
        ]  # fmt: skip
        yield Shards(pools)


def device_groups(hardware: DictConfig) -> list[list[str]]:
    """The devices of each engine, as CUDA_VISIBLE_DEVICES names them. Devices that fill no group stay idle."""
    number, size = hardware.devices_per_node, hardware.vllm.tensor_parallel
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(device) for device in range(number)]
    return [names[start : start + size] for start in range(0, max(number - size, 0) + 1, size)]


class Shards:
    """Divides prompts among processes in ranges of rows, so that the same rows always go to the same process."""

    def __init__(self, pools: Sequence[ProcessPoolExecutor]) -> None:
        self._pools = pools

    def answer(self, prompts: Sequence[str], images: Sequence[bytes], say: Callable[[str], None]) -> Answers:
        """As Generator.answer: the answers in the order of the prompts."""
        asked = {}
        for pool, rows in zip(self._pools, ranges(len(prompts), len(self._pools)), strict=True):
            for start in range(rows.start, rows.stop, CHUNK):
                part = slice(start, min(start + CHUNK, rows.stop))
                asked[pool.submit(_answer, prompts[part], images[part])] = part
        found: dict[int, Answers] = {}
        for done in as_completed(asked):
            found[asked[done].start] = done.result()
            say(f"answered {sum(map(len, found.values()))} of {len(prompts)}")
        return [answer for start in sorted(found) for answer in found[start]]


def ranges(rows: int, parts: int) -> list[range]:
    """`rows` consecutive rows in `parts` ranges; their sizes differ by one at most."""
    ends = [rows * part // parts for part in range(parts + 1)]
    return [range(*pair) for pair in itertools.pairwise(ends)]


_own: Answering  # of a process of a pool


def _start(devices: Sequence[str], make: Callable[..., Answering], *arguments: Any) -> None:
    global _own
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)  # before torch looks
    _own = make(*arguments)


def _answer(prompts: Sequence[str], images: Sequence[bytes]) -> Answers:
    return _own.answer(prompts, images, lambda text: None)
