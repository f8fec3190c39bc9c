"""Orders training rows so that every batch has each class equally often, or one class once more than another."""

from collections.abc import Sequence

import torch
from torchdata.stateful_dataloader.sampler import RandomSampler, _StatefulRandomSamplerIterator


def interleaved(order: Sequence[int], labels: Sequence[str]) -> list[int]:
    """The positions of `order`, with the classes taking turns; within a class their order stays.

    labels: the class of each position; all classes have equally many. Any stretch of the result has each class equally
    often, or once more.
    """
    positions: dict[str, list[int]] = {}
    for position in order:
        positions.setdefault(labels[position], []).append(position)
    return [position for turn in zip(*positions.values(), strict=True) for position in turn]


class BalancedSampler(RandomSampler):
    """torchdata's sampler, whose state a checkpoint holds, with its order of each epoch interleaved.

    labels: the class of each row; all classes have equally many rows (datasets.py: balanced_order).
    """

    def __init__(self, labels: Sequence[str], seed: int):
        super().__init__(labels, generator=torch.Generator().manual_seed(seed))

    def __iter__(self) -> "_BalancedIterator":
        return _BalancedIterator(self)


class _BalancedIterator(_StatefulRandomSamplerIterator):
    def _get_perm(self) -> list[int]:
        return interleaved(super()._get_perm(), self.sampler.data_source)
