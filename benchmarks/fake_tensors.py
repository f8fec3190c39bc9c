"""Counts the bytes of one training micro-batch of verl on fake tensors: real shapes, and no memory for their values.

The modules are transformers', with verl's patches; FSDP2 shards them over a fake process group. What has no meaning
without values is replaced: flash attention and its cross entropy only keep what the kernels keep.
"""

import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

STAND_IN = Path(__file__).resolve().parents[1] / "tests" / "toys" / "flash_attn_stand_in"


class Bytes(TorchDispatchMode):
    """Bytes of all storages that are alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, tuple[int, Any]] = {}

    def see(self, tensor: torch.Tensor) -> None:
        storage = getattr(tensor, "_local_tensor", tensor).untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        before, reference = self._alive.get(key, (0, None))
        reference = reference or weakref.ref(storage, lambda _: self._drop(key))
        self._alive[key] = size, reference
        self.now += size - before
        self.peak = max(self.peak, self.now)

    def _drop(self, key: int) -> None:
        self.now -= self._alive.pop(key, (0, None))[0]

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree_iter((args, kwargs, out)):
            if isinstance(tensor, torch.Tensor):
                self.see(tensor)
        return out


class Attention(torch.autograd.Function):
    """What flash-attn 2.8.3 keeps: its three inputs, its output and a float32 per head and token."""

    @staticmethod
    def forward(context: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(query)
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        context.save_for_backward(query, key, value, out, sums)
        return out

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        query, key, value, *_ = context.saved_tensors
        # The kernel's sum for the queries, and the gradients of key and value for every head of the queries.
        work = query.float(), torch.empty_like(query), torch.empty_like(query)
        gradients = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        del work
        return gradients


class CrossEntropy(torch.autograd.Function):
    """flash_attn/ops/triton/cross_entropy.py with `inplace_backward`: the gradient replaces the logits."""

    @staticmethod
    def forward(context: Any, logits: torch.Tensor) -> torch.Tensor:
        losses = logits.new_empty(len(logits), dtype=torch.float32)
        context.save_for_backward(logits, torch.empty_like(losses))
        return losses

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return context.saved_tensors[0]


def replace_kernels() -> None:
    """Give transformers and verl the two functions above instead of flash-attn's. Call it before either is imported."""
    sys.path.insert(0, str(STAND_IN))
    import transformers.utils.import_utils as imports

    mock.patch.object(imports, "is_torch_cuda_available", lambda: True).start()
    import verl.utils.torch_functional as functional
    from transformers import AttentionInterface
    from verl.models.transformers import qwen2_vl

    def of_vision(module: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> tuple[torch.Tensor, None]:
        return Attention.apply(*(each.transpose(1, 2) for each in (query, key, value))), None

    qwen2_vl._custom_flash_attention_forward = lambda query, key, value, *_, **__: Attention.apply(query, key, value)
    AttentionInterface.register("flash_attention_2", of_vision)
    functional.FLAH_ATTN_CROSS_ENTROPY_LOSS_AVAILABLE = True
    functional.cross_entropy_loss = lambda logits, labels, **_: (CrossEntropy.apply(logits), None)


def place_images(grid: torch.Tensor, fake: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Compute what depends on the values of the grid, (images, 3) in patches, before values are gone."""
    import transformers.models.qwen2_5_vl.modeling_qwen2_5_vl as qwen
    from verl.models.transformers import qwen2_vl

    def embed(model: Any, ids: Any, mask: Any, pixels: Any, _: Any, grid_thw: Any, *__: Any) -> tuple[Any, Any]:
        embedded = model.get_input_embeddings()(ids)
        seen = model.visual(pixels.type(model.visual.dtype), grid_thw=grid_thw).pooler_output
        where = (ids == model.config.image_token_id).unsqueeze(-1).expand_as(embedded)
        return embedded.masked_scatter(where, seen.to(embedded.dtype)), mask

    window = {"spatial_merge_size": 2, "window_size": 112, "patch_size": 14}
    for name, found in {
        "get_vision_position_ids": qwen.get_vision_position_ids(grid, 2, kwargs={}),
        "get_vision_cu_seqlens": qwen.get_vision_cu_seqlens(grid, kwargs={}),
        "get_vision_window_index": qwen.get_vision_window_index(grid, **window, kwargs={}),
    }.items():
        made = tree_map(lambda one: fake(one) if isinstance(one, torch.Tensor) else one, found)
        setattr(qwen, name, lambda *_, made=made, **__: made)
    qwen2_vl._get_input_embeds = embed  # verl's compares the number of image tokens with the images


def watch_fsdp(bytes_alive: Bytes) -> None:
    """Show `bytes_alive` the storages that FSDP2 frees and fills; it does so without an operation."""
    import torch.distributed.fsdp._fully_shard._fsdp_param as fsdp

    for name in ("free_storage", "alloc_storage"):
        setattr(fsdp, name, _seen(getattr(fsdp, name), bytes_alive))


def _seen(change: Any, bytes_alive: Bytes) -> Any:
    def changed(tensor: torch.Tensor, *args: Any) -> None:
        change(tensor, *args)
        bytes_alive.see(tensor)

    return changed
