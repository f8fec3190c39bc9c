"""Stands in for flash-attn 2.8.3 on a machine without a GPU: the same functions, computed by torch's attention.

It is installed nowhere: a test puts the folder above on the PYTHONPATH of its own subprocess. Each sample is computed
alone, so padding or a neighbour cannot leak into it, and every number type works, float32 too.
"""

import os
from pathlib import Path

import torch
from torch.nn.functional import scaled_dot_product_attention

__version__ = "2.8.3"
RECORD = "FLASH_ATTN_STAND_IN_RECORD"  # environment variable: a folder, in which a file tells each function that ran


def flash_attn_func(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dropout_p: float = 0.0, softmax_scale: float | None = None,
    causal: bool = False, window_size: tuple[int, int] = (-1, -1), softcap: float = 0.0, alibi_slopes: None = None,
    deterministic: bool = False, return_attn_probs: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Attention of a padded batch: (batch, tokens, heads, width), with any divisor of `heads` for k and v."""
    refuse(dropout_p, window_size, softcap, alibi_slopes, return_attn_probs)
    note("flash_attn_func")
    return torch.stack([attend(*sample, causal, softmax_scale) for sample in zip(q, k, v, strict=True)])


def flash_attn_varlen_func(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cu_seqlens_q: torch.Tensor, cu_seqlens_k: torch.Tensor,
    max_seqlen_q: int, max_seqlen_k: int, dropout_p: float = 0.0, softmax_scale: float | None = None,
    causal: bool = False, window_size: tuple[int, int] = (-1, -1), softcap: float = 0.0, alibi_slopes: None = None,
    deterministic: bool = False, return_attn_probs: bool = False, block_table: None = None,
) -> torch.Tensor:  # fmt: skip
    """Attention of samples without padding: (all tokens, heads, width); cu_seqlens: where each sample begins and ends.

    Raises ValueError for lengths that the kernel would misread: it never looks at them itself.
    """
    refuse(dropout_p, window_size, softcap, alibi_slopes, return_attn_probs, block_table)
    lengths = [ends.diff().tolist() for ends in (cu_seqlens_q, cu_seqlens_k)]
    tokens = [len(q), len(k)]
    if [sum(each) for each in lengths] != tokens or [max(each) for each in lengths] != [max_seqlen_q, max_seqlen_k]:
        raise ValueError(f"lengths {lengths} are not those of {tokens} tokens, {max_seqlen_q} and {max_seqlen_k}")
    note("flash_attn_varlen_func")
    samples = zip(q.split(lengths[0]), k.split(lengths[1]), v.split(lengths[1]), strict=True)
    return torch.cat([attend(*sample, causal, softmax_scale) for sample in samples])


def flash_attn_with_kvcache(*_: object, **__: object) -> torch.Tensor:
    raise NotImplementedError("the stand-in trains; it does not generate")


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, scale: float | None) -> torch.Tensor:
    """Attention of one sample, (tokens, heads, width)."""
    if causal and len(q) != len(k):
        raise NotImplementedError("flash-attn aligns the mask to the last key, torch to the first")
    q, k, v = (each.transpose(0, 1)[None] for each in (q, k, v))
    shares_heads = q.shape[1] != k.shape[1]
    out = scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale, enable_gqa=shares_heads)
    return out[0].transpose(0, 1)


def refuse(
    dropout: float, window: tuple[int, int], softcap: float, alibi: object, wants_probs: bool, blocks: object = None
) -> None:
    """Raise NotImplementedError for what no policy here uses, rather than compute something else."""
    if dropout or tuple(window) != (-1, -1) or softcap or alibi is not None or wants_probs or blocks is not None:
        raise NotImplementedError("the stand-in knows neither dropout, windows, softcap, ALiBi nor blocks")


def note(function: str) -> None:
    if folder := os.environ.get(RECORD):
        (Path(folder) / function).touch()
