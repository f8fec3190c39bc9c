"""Answers with one engine per device (or tensor-parallel group), each in a process with its own range of the rows."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any, Protocol

from omegaconf import DictConfig

from vrft_aug.data.settings import Policy
from vrft_aug.evaluation.answers.generation import CHUNK, Generator

Answers = list[list[tuple[str, int]]]


class Answering(Protocol):
    """What generation.Generator can do."""

    at_once: int

    def answer(
        self, prompts: Sequence[str], images: Sequence[Sequence[bytes]], say: Callable[[str], None]
    ) -> Iterable[list[tuple[str, int]]]: ...

    def class_probabilities(
        self, prompts: Sequence[str], images: Sequence[Sequence[bytes]], responses: Sequence[str],
        classes: Sequence[list[str]],
    ) -> list[list[float]]: ...


@contextmanager
def generator(
    path: str, policy: Policy, hardware: DictConfig, sampling: DictConfig, seed: int,
    make: Callable[..., Answering] = Generator, images: int = 1,
) -> Iterator[Answering]:  # fmt: skip
    """The policy at `path`, in this process if one engine needs all devices of this machine, else in several.

    images: most per prompt. make: a class that takes the other arguments; it must be importable in another process.
    """
    groups = device_groups(hardware)
    if len(groups) == 1:
        yield make(path, policy, hardware, sampling, seed, images)
        return
    with ExitStack() as stack:
        pools = [
            # Each draws its own numbers: with the same seed all would draw the same.
            stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _start,
                                (devices, make, path, policy, hardware, sampling, seed + number, images)))
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
        self.at_once = CHUNK * len(pools)

    def answer(
        self, prompts: Sequence[str], images: Sequence[Sequence[bytes]], say: Callable[[str], None]
    ) -> Iterator[list[tuple[str, int]]]:
        """As Generator.answer: the answers in the order of the prompts."""
        for start in range(0, len(prompts), self.at_once):
            part = slice(start, start + self.at_once)
            answers = self._divide(_answer, prompts[part], images[part])
            say(f"answered {start + len(answers)} of {len(prompts)}")
            yield from answers

    def class_probabilities(
        self, prompts: Sequence[str], images: Sequence[Sequence[bytes]], responses: Sequence[str],
        classes: Sequence[list[str]],
    ) -> list[list[float]]:
        """As Generator.class_probabilities. Rows that were answered together go to the processes that answered them."""
        return self._divide(_class_probabilities, prompts, images, responses, classes)

    def _divide(self, work: Callable[..., list], *columns: Sequence) -> list:
        """What `work` makes of the rows of the columns: each process works on one range, and the order is kept."""
        parts = [slice(rows.start, rows.stop) for rows in ranges(len(columns[0]), len(self._pools))]
        asked = [pool.submit(work, *(column[part] for column in columns))
                 for pool, part in zip(self._pools, parts, strict=True) if part.start < part.stop]  # fmt: skip
        return [found for one in asked for found in one.result()]


def ranges(rows: int, parts: int) -> list[range]:
    """`rows` consecutive rows in `parts` ranges; their sizes differ by one at most."""
    ends = [rows * part // parts for part in range(parts + 1)]
    return [range(*pair) for pair in itertools.pairwise(ends)]


_own: Answering  # of a process of a pool


def _start(devices: Sequence[str], make: Callable[..., Answering], *arguments: Any) -> None:
    global _own
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)  # before torch looks
    _own = make(*arguments)


def _answer(prompts: Sequence[str], images: Sequence[Sequence[bytes]]) -> Answers:
    return list(_own.answer(prompts, images, lambda text: None))


def _class_probabilities(*columns: Sequence) -> list[list[float]]:
    return _own.class_probabilities(*columns)
