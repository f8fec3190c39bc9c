"""The heads that are set by hand: before any training, the network continues what it has read."""

import random

import pytest
import torch

from vrft_aug.tiny import model as tiny_model
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


def test_what_was_read_is_continued(processor, monkeypatch):
    set_ = likelier(tiny_model.make_model(processor.tokenizer, 0), processor.tokenizer)
    monkeypatch.setattr(tiny_model, "set_heads", lambda *_: None)
    random_ = likelier(tiny_model.make_model(processor.tokenizer, 0), processor.tokenizer)
    assert set_ < 0.25 < random_ == pytest.approx(0.5, abs=0.1)
