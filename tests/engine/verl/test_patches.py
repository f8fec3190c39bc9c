"""Checks that each patch gives verl's result where verl's own code works, and the right result where it fails."""

import pytest
import torch

from vrft_aug.engine.verl import patches

verl = pytest.importorskip("verl", reason="the training stack is not installed (make setup)")


def batch_of(samples: list[torch.Tensor], jagged_dimension: int) -> dict:
    """Position ids as verl's workers receive them, jagged where torch decided."""
    values = torch.cat(samples, dim=jagged_dimension - 1)
    lengths = torch.tensor([sample.shape[jagged_dimension - 1] for sample in samples])
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    return {"position_ids": torch.nested.nested_tensor_from_jagged(values, offsets)}


def fixed(batch: dict) -> list[torch.Tensor]:
    patches.fix_position_ids(batch)
    ids = batch["position_ids"]
    return [ids.values()[:, start:end] for start, end in zip(ids.offsets()[:-1], ids.offsets()[1:], strict=True)]


@pytest.mark.parametrize("lengths", [(5, 3, 7), (6, 6), (9,)])
def test_position_ids_survive_a_lost_ragged_index(lengths):
    samples = [torch.randint(0, 100, (4, length)) for length in lengths]
    for sample, found in zip(samples, fixed(batch_of(samples, jagged_dimension=2)), strict=True):
        assert torch.equal(sample, found)


@pytest.mark.parametrize("lengths", [(6, 6, 6), (9,), (4, 4), (16,)])
def test_position_ids_of_equal_lengths_are_put_together_anew(lengths):
    samples = [torch.randint(0, 100, (4, length)) for length in lengths]
    for sample, found in zip(samples, fixed(batch_of(samples, jagged_dimension=1)), strict=True):
        assert torch.equal(sample, found)


def test_what_torch_makes_of_equal_lengths_is_the_case_that_is_fixed():
    samples = [torch.randint(0, 100, (4, 6)) for _ in range(3)]
    batch = {"position_ids": torch.nested.as_nested_tensor(samples, layout=torch.jagged)}
    for sample, found in zip(samples, fixed(batch), strict=True):
        assert torch.equal(sample, found)


def test_log_probs_at_once_equal_verls_loop():
    from verl.utils import torch_functional

    logits = torch.randn(50, 33, requires_grad=True)
    labels = torch.randint(0, 33, (50,))
    looped, at_once = torch_functional.logprobs_from_logits_v2, torch_functional.logprobs_from_logits_naive
    expected, found = looped(logits, labels), at_once(logits, labels)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(expected.sum(), logits, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), logits)[0], gradient)


def test_another_version_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(patches.WRITTEN_FOR, "verl", "0.0.1")
    with pytest.raises(ImportError, match=r"written for verl 0\.0\.1, but .* is installed"):
        patches.require_version("verl")


def test_vllm_is_found_under_its_name():
    import importlib.metadata

    import verl  # noqa: F401 (loads the plugin)

    assert importlib.metadata.version("vllm").startswith("0.24.0")


@pytest.fixture
def sampler():
    """vLLM's sampler and its own function for a CPU, before and after the patch."""
    TopKTopPSampler = pytest.importorskip("vllm.v1.sample.ops.topk_topp_sampler").TopKTopPSampler
    before = TopKTopPSampler.forward_cpu
    patches._draw_seeded_noise_once()
    yield TopKTopPSampler(), before
    TopKTopPSampler.forward_cpu = before


def test_seeded_rows_draw_the_same_tokens_with_half_the_noise(sampler, monkeypatch):
    patched, before = sampler
    logits = torch.randn(5, 300, generator=torch.Generator().manual_seed(0))
    drawn = []
    whole = torch.Tensor.exponential_

    def exponential_(tensor: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        drawn.append(tensor.numel())
        return whole(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "exponential_", exponential_)

    def tokens(draw) -> list[list[int]]:
        generators = {row: torch.Generator().manual_seed(row) for row in range(len(logits))}
        return [draw(logits.clone(), generators, None, None)[0].tolist() for _ in range(4)]

    expected, noise = tokens(before.__get__(patched)), sum(drawn)
    drawn.clear()
    assert tokens(type(patched).forward_cpu.__get__(patched)) == expected
    assert 2 * sum(drawn) == noise == 2 * 4 * logits.numel()


def test_rows_without_a_seed_are_left_to_vllm(sampler, monkeypatch):
    patched, _ = sampler
    monkeypatch.setattr(type(patched), "forward_native", None)
    tokens, _ = type(patched).forward_cpu(patched, torch.randn(3, 50), {}, None, None)
    assert tokens.shape == (3,)
