"""Checks that sharing prompts changes neither log-probabilities nor gradients."""

import copy

import pytest
import torch

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from transformers import PreTrainedModel

from vrft_aug.engine.cpu.prompt_sharing import samples_together, share_prompts, whole_tokens
from vrft_aug.tiny import tokenizer as tiny_tokenizer
from vrft_aug.tiny.architectures import ARCHITECTURES

SAMPLES, IMAGE_TOKENS, PATCHES = 4, 16, 64
PROMPTS = (24, 29)  # tokens of each, with the image
ANSWERS = (5, 9, 1, 7, 3, 9, 2, 4)


@pytest.fixture(scope="module", params=ARCHITECTURES.values(), ids=ARCHITECTURES)
def policy(request) -> PreTrainedModel:
    tokenizer = request.param.train_tokenizer(tiny_tokenizer.read_corpus())
    return request.param.make_model(tokenizer, 0).double()  # the order of sums matters less


@pytest.fixture
def inputs(policy) -> dict[str, torch.Tensor]:
    """Two prompts, each with its own image and four answers, padded on the right."""
    random = torch.Generator().manual_seed(0)
    rows, pixels, side = [], [], policy.config.vision_config.patch_size
    for prompt, answers in zip(PROMPTS, (ANSWERS[:SAMPLES], ANSWERS[SAMPLES:]), strict=True):
        tokens = torch.randint(20, 900, (prompt,), generator=random)
        tokens[4 : 4 + IMAGE_TOKENS] = policy.config.image_token_id
        image = torch.randn(PATCHES, 3 * 2 * side**2, generator=random, dtype=torch.float64)
        for answer in answers:
            rows.append(torch.cat([tokens, torch.randint(20, 900, (answer,), generator=random)]))
            pixels.append(image)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], True)
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(rows, True), "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0).expand(4, -1, -1), "pixel_values": torch.cat(pixels),
        "image_grid_thw": torch.tensor([[1, 8, 8]] * len(rows)),
    }  # fmt: skip


def log_probs(policy, inputs: dict) -> torch.Tensor:
    """Log-probability of each token (without padding), given the tokens before it."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    logits = policy(**inputs).logits[:, :-1].log_softmax(-1)
    return logits.gather(-1, ids[:, 1:, None])[..., 0][mask[:, 1:]]


def gradients(policy) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in policy.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES // 2])
def test_log_probs_and_gradients_are_those_of_whole_samples(policy, inputs, samples):
    whole, shared = copy.deepcopy(policy), copy.deepcopy(policy)
    sharing = share_prompts(shared)
    sharing.look(inputs, samples, min(PROMPTS))
    assert (sharing.samples, sharing.tokens) == (samples, min(PROMPTS))
    computed, seen = [], []
    layer, patches = shared.model.language_model.layers[0], shared.model.visual.patch_embed
    layer.register_forward_pre_hook(lambda _, args: computed.append(args[0].shape[:2].numel()))
    patches.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    expected, found = log_probs(whole, inputs), log_probs(shared, inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    weights = torch.linspace(-1, 1, len(found), dtype=torch.float64)
    for total in (expected @ weights, found @ weights):
        total.backward()
    assert gradients(shared).keys() == gradients(whole).keys()
    for name, gradient in gradients(shared).items():
        largest = gradients(whole)[name].abs().max()  # transformers' RMSNorm always computes in float32
        near = 3e-5 if policy.config.model_type == "qwen3_vl" else 1e-6  # Qwen3 has it in each attention, too
        torch.testing.assert_close(gradient, gradients(whole)[name], rtol=0, atol=near * float(largest))
    rows, length = inputs["input_ids"].shape
    assert computed == [rows // samples * min(PROMPTS), rows * (length - min(PROMPTS))]
    assert seen == [rows // samples * PATCHES]


def test_what_is_not_shared_is_transformers_own(policy, inputs):
    shared = copy.deepcopy(policy)
    share_prompts(shared)
    assert torch.equal(log_probs(shared, inputs), log_probs(policy, inputs))


@pytest.fixture
def pairs(policy, inputs) -> dict[str, torch.Tensor]:
    """As `inputs`, with two images per prompt, the second behind the first."""
    random = torch.Generator().manual_seed(1)
    rows = [row[mask.bool()] for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    token = torch.full((IMAGE_TOKENS,), policy.config.image_token_id)
    ones = [torch.ones(len(row) + IMAGE_TOKENS, dtype=torch.long) for row in rows]
    mask = torch.nn.utils.rnn.pad_sequence(ones, True)
    pixels = []
    for row, first in enumerate(inputs["pixel_values"].split(PATCHES)):
        if row % SAMPLES == 0:
            second = torch.randn(first.shape, generator=random, dtype=torch.float64)
        pixels += [first, second]
    longer = [torch.cat([row[: 4 + IMAGE_TOKENS], token, row[4 + IMAGE_TOKENS :]]) for row in rows]
    return {
        "input_ids": torch.nn.utils.rnn.pad_sequence(longer, True), "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0).expand(4, -1, -1), "pixel_values": torch.cat(pixels),
        "image_grid_thw": torch.tensor([[1, 8, 8]] * len(pixels)),
    }  # fmt: skip


def test_prompts_with_two_images_are_shared_too(policy, pairs):
    shared = copy.deepcopy(policy)
    sharing, tokens, seen = share_prompts(shared), min(PROMPTS) + IMAGE_TOKENS, []
    sharing.look(pairs, SAMPLES, tokens)
    assert (sharing.samples, sharing.tokens, sharing.images) == (SAMPLES, tokens, 2)
    shared.model.visual.patch_embed.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    torch.testing.assert_close(log_probs(shared, pairs), log_probs(policy, pairs), rtol=0, atol=1e-9)
    assert seen == [4 * PATCHES], "two images of each of the two prompts"
    pairs["pixel_values"][3 * PATCHES] += 1  # the second image of the second sample
    sharing.look(pairs, SAMPLES, tokens)
    assert sharing.samples == 1


def other_text(inputs: dict) -> None:
    inputs["input_ids"][1, 0] += 1


def other_image(inputs: dict) -> None:
    inputs["pixel_values"][PATCHES] += 1


def two_images(inputs: dict) -> None:
    inputs["pixel_values"] = inputs["pixel_values"].repeat(2, 1)
    inputs["image_grid_thw"] = inputs["image_grid_thw"].repeat(2, 1)


def no_image(inputs: dict) -> None:
    del inputs["pixel_values"], inputs["image_grid_thw"]


@pytest.mark.parametrize("change", [other_text, other_image, two_images, no_image])
def test_rows_that_differ_share_nothing(policy, inputs, change):
    sharing = share_prompts(copy.deepcopy(policy))
    sharing.look(inputs, SAMPLES, min(PROMPTS))
    assert sharing.samples == SAMPLES
    change(inputs)
    sharing.look(inputs, SAMPLES, min(PROMPTS))
    assert sharing.samples == 1


@pytest.mark.parametrize(
    ("prompts", "shared", "budget", "together", "whole"),
    [
        ("aaaabbbb", 0, 100, 4, 100),  # nothing is computed once: the budget stays
        ("aaaabbbb", 8, 100, 4, 244),  # four samples have 40 tokens, of which 16 are computed: six groups fit
        ("aaaabbbb", 8, 31, 4, 55),  # two groups would compute 32
        ("aaaabbbb", 8, 16, 4, 40),
        ("aaaabbbb", 8, 15, 2, 23),  # two have 20, of which 12 are computed
        ("aaaabbbb", 8, 10, 1, 10),
        ("abab", 8, 100, 1, 100),  # not consecutive
        ("aab", 8, 100, 1, 100),
        ("aabbaa", 8, 100, 1, 100),
        ("ab", 8, 100, 1, 100),
        ("aaa", 8, 100, 3, 212),
    ],
)
def test_consecutive_samples_share_a_micro_batch_if_they_fit(prompts, shared, budget, together, whole):
    lengths = torch.tensor([10] * len(prompts))
    samples = samples_together(list(prompts), lengths, shared, budget)
    assert (samples, whole_tokens(lengths, samples, shared, budget)) == (together, whole)


def test_a_group_of_the_longest_samples_still_fits():
    """verl refuses a group with more tokens than a micro-batch may have."""
    lengths = torch.tensor([10, 10, 40, 40])
    assert samples_together(list("aabb"), lengths, 9, 71) == 2
    assert whole_tokens(lengths, 2, 9, 71) == 80  # the second group has 80
    assert whole_tokens(torch.tensor([10, 10, 70, 70]), 2, 9, 131) == 140
    assert whole_tokens(torch.tensor([10, 10, 90, 90]), 2, 1, 179) == 180, "that of the longest group"
    assert samples_together(list("aabb"), lengths, 9, 70) == 1
