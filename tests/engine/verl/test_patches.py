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
def sampler(monkeypatch):
    """vLLM's sampler for a CPU, patched."""
    module = pytest.importorskip("vllm.v1.sample.ops.topk_topp_sampler")
    for owner, name in ((module, "random_sample"), (module.TopKTopPSampler, "forward_cpu")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back after the test
    patches._draw_one_number_per_seed()
    return module.TopKTopPSampler()


def drawn(sampler, logits: torch.Tensor, first_seed: int = 0, k: int | None = None) -> torch.Tensor:
    generators = {row: torch.Generator().manual_seed(first_seed + row) for row in range(len(logits))}
    limit = None if k is None else torch.full([len(logits)], k)
    return type(sampler).forward_cpu(sampler, logits.clone(), generators, limit, None)[0]


@pytest.mark.parametrize("k", [None, 4])
def test_seeded_rows_draw_tokens_as_often_as_their_probability_says(sampler, k):
    from scipy.stats import chisquare

    rows = 20_000
    logits = torch.tensor([0.0, 1.0, -1.0, -torch.inf, 2.0, -3.0, 0.5, -torch.inf])
    kept = logits.topk(k or 6)
    tokens = drawn(sampler, logits.repeat(rows, 1), k=k)
    assert set(tokens.tolist()) == set(kept.indices.tolist())
    counts = torch.bincount(tokens, minlength=8)[kept.indices]
    assert chisquare(counts, rows * kept.values.double().softmax(0)).pvalue > 0.01


def test_a_seed_draws_the_same_token_in_any_batch(sampler):
    logits = torch.randn(9, 300, generator=torch.Generator().manual_seed(0))
    whole = drawn(sampler, logits)
    assert torch.equal(whole[4:], drawn(sampler, logits[4:], first_seed=4))
    assert not torch.equal(whole, drawn(sampler, logits, first_seed=100))


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])  # the smallest and the largest
def test_a_token_without_probability_is_never_drawn(sampler, monkeypatch, number):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda tensor, generator: tensor.fill_(number))
    logits = 3 * torch.randn(50, 1956, generator=torch.Generator().manual_seed(0))
    logits[:, [0, 1955]] = -torch.inf
    assert logits.gather(1, drawn(sampler, logits)[:, None]).isfinite().all()


def test_rows_without_a_seed_are_left_to_vllm(sampler, monkeypatch):
    monkeypatch.setattr(type(sampler), "forward_native", None)
    tokens, _ = type(sampler).forward_cpu(sampler, torch.randn(3, 50), {}, None, None)
    assert tokens.shape == (3,)


def test_where_only_some_rows_have_a_seed_vllm_draws(sampler):
    from vllm.v1.sample.ops.topk_topp_sampler import random_sample

    probs = torch.full((2, 5), 0.2)
    seeded = [random_sample(probs.clone(), {1: torch.Generator().manual_seed(7)}, False)[1] for _ in range(8)]
    noise = torch.empty(5).exponential_(generator=torch.Generator().manual_seed(7))
    assert {int(token) for token in seeded} == {int((probs[1] / noise).argmax())}
