"""The heads that are set by hand: before any training, the network continues what it has read."""

import random

import pytest
import torch

from vrft_aug.tiny import model as tiny_model
from vrft_aug.tiny import qwen3_vl
from vrft_aug.tiny import tokenizer as words
from vrft_aug.tiny.architectures import ARCHITECTURES
from vrft_aug.tiny.encoding import copying


@torch.no_grad()
def likelier(model, tokenizer) -> float:
    """Mean share of the tokens that are likelier than the right one, while a sequence repeats; by chance 0.5."""
    rng, shares = random.Random(0), []
    for _ in range(10):
        sequence = copying(rng, tokenizer)
        tokens = torch.tensor([sequence * 2])
        logits = model(input_ids=tokens).logits[0, len(sequence) + 3 : -1]
        wanted = logits.gather(1, tokens[0, len(sequence) + 4 :, None])
        shares.append((logits > wanted).float().mean().item())
    return sum(shares) / len(shares)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_what_was_read_is_continued(architecture, monkeypatch):
    tokenizer = architecture.train_tokenizer(words.read_corpus())
    set_ = likelier(architecture.make_model(tokenizer, 0), tokenizer)
    for module in (tiny_model, qwen3_vl):
        monkeypatch.setattr(module, "set_heads", lambda *_, **__: None)
    random_ = likelier(architecture.make_model(tokenizer, 0), tokenizer)
    assert set_ < 0.25 < random_ == pytest.approx(0.5, abs=0.1)
