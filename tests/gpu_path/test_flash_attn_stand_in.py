"""Checks the stand-in for flash-attn against the formula of attention, written out."""

import importlib.util
from itertools import pairwise

import pytest
import torch
from without_gpu import STAND_IN

LENGTHS = [0, 5, 6, 13]  # where each of three samples begins, and the last ends


@pytest.fixture(scope="module")
def flash_attn():
    """The module under another name: nothing else in this process must find a flash-attn."""
    spec = importlib.util.spec_from_file_location("flash_attn_stand_in", STAND_IN / "flash_attn" / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tensors() -> list[torch.Tensor]:
    """q with 4 heads of 8 numbers; k and v with 2 heads, of which each serves two of q's."""
    random = torch.Generator().manual_seed(0)
    return [torch.randn(LENGTHS[-1], heads, 8, generator=random) for heads in (4, 2, 2)]


def by_the_formula(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    """softmax(q k' / sqrt(width)) v, for one sample (tokens, heads, width)."""
    k, v = (each.repeat_interleave(q.shape[1] // each.shape[1], 1) for each in (k, v))
    scores = torch.einsum("qhw,khw->hqk", q, k) / q.shape[-1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -torch.inf)
    return torch.einsum("hqk,khw->qhw", scores.softmax(-1), v)


@pytest.mark.parametrize("causal", [True, False])
def test_each_sample_sees_itself_alone(flash_attn, tensors, causal):
    ends = torch.tensor(LENGTHS, dtype=torch.int32)
    found = flash_attn.flash_attn_varlen_func(*tensors, ends, ends, 7, 7, causal=causal)
    samples = [[each[start:end] for each in tensors] for start, end in pairwise(LENGTHS)]
    torch.testing.assert_close(found, torch.cat([by_the_formula(*sample, causal) for sample in samples]))


def test_a_padded_batch_is_computed_sample_by_sample(flash_attn, tensors):
    batch = [torch.stack([each[:6], each[6:12]]) for each in tensors]
    found = flash_attn.flash_attn_func(*batch, causal=True)
    expected = [by_the_formula(*(each[row] for each in batch), True) for row in range(2)]
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize(("ends", "longest"), [([0, 5, 6, 12], 7), ([0, 5, 6, 13], 8)])
def test_lengths_that_are_not_those_of_the_tokens_are_refused(flash_attn, tensors, ends, longest):
    ends = torch.tensor(ends, dtype=torch.int32)
    with pytest.raises(ValueError, match="are not those of"):
        flash_attn.flash_attn_varlen_func(*tensors, ends, ends, longest, longest, causal=True)


def test_what_it_does_not_know_is_refused(flash_attn, tensors):
    ends = torch.tensor(LENGTHS, dtype=torch.int32)
    with pytest.raises(NotImplementedError, match="neither dropout"):
        flash_attn.flash_attn_varlen_func(*tensors, ends, ends, 7, 7, causal=True, window_size=(4, 4))
