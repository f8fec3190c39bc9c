"""Watches what torch allocates: the bytes that live, their peak, and the shapes of new tensors."""

import weakref
from typing import Any, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):
    """A context. `live` and `peak` count the bytes of storages that operations inside it have made and not freed.

    shapes: of every new tensor, also in a backward pass; views of others are not new.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live, self.peak, self._known, self.shapes = 0, 0, dict[int, int](), set[tuple[int, ...]]()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        before = {id(one.untyped_storage()) for one in _tensors((arguments, named))}
        result = function(*arguments, **(named or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if id(storage) not in before and id(storage) not in self._known:
                self.shapes.add(tuple(tensor.shape))
                self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        self._known[id(storage)] = size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, id(storage))

    def _drop(self, which: int) -> None:
        self.live -= self._known.pop(which)


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(tree) if type(one) is torch.Tensor or isinstance(one, torch.nn.Parameter)]
