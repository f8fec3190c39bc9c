"""Finds a policy's parameters and memory in a process of its own, which imports torch while the plan reads configs."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple, Self

from omegaconf import DictConfig

from vrft_aug.data.settings import Policy
from vrft_aug.experiments import memory
from vrft_aug.experiments.model_size import count, count_frozen, find


class Footprint(NamedTuple):
    """parameters: of the policy; 0: not known. frozen: of these, by the training's `freeze`. peak, device: GiB of the
    largest phase, and of a device; None then."""

    parameters: int
    frozen: int
    peak: float | None
    device: float | None

    def __str__(self) -> str:
        return "" if self.peak is None else f"about {self.peak:.0f} of {self.device:.0f} GiB per device"


class Footprints:
    """A context: the process starts with it and ends with it."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("fork"), initializer=_import)
        self._pool.submit(_import)  # starts the process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, config: DictConfig) -> Footprint:
        """The footprint of a config of grpo.yaml or sft.yaml."""
        return self._pool.submit(_footprint, config).result()


def _import() -> None:
    import torch  # noqa: F401
    from transformers import AutoModelForImageTextToText  # noqa: F401


def _footprint(config: DictConfig) -> Footprint:
    if (model := find(Policy.of(config.policy))) is None:
        return Footprint(0, 0, None, None)
    found = memory.estimate(config)
    return Footprint(count(model), count_frozen(model, config.freeze), found and found.peak, found and found.device)
