"""Sets a few attention heads by hand before the training, so that the policy begins as one that copies and compares.

From random weights, a model of this size needs most of its training to find these mechanisms by itself. At the start
the heads copy well and compare badly, which is enough for the training to improve both. The hidden dimensions are
divided for it:

    WORDS   the token itself (dimension 0 stays constant, see model.py)
    NOTE    the token before (layer 0)
    BAG     the last ten words or so (layer 1)
    NAME    the last token that followed a single space, which begins a class's name (layer 1)

In layer 2, one head continues what was read before (an induction head: Olsson et al. 2022, arXiv:2209.11895). Another
compares its own bag with the bag at the end of each line, and takes the name from the line that is most alike.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, Qwen2Tokenizer

from vrft_aug.tiny.heads import HEAD, PAIRS, Head, NormalisedHead

SLOT = 16
HIDDEN = 128
WORDS, NOTE, BAG, NAME = slice(0, 80), slice(80, 96), slice(96, 112), slice(112, 128)
SLOW = torch.cat([torch.arange(7, 15), torch.arange(23, 31)])  # turn so little that the distance does not matter
MARK = 15  # the slowest pair, for one kind of token
RECENT = torch.tensor([3, 4, 5])  # pairs whose products fall with the distance


@dataclass(frozen=True)
class Codes:
    """Random directions, the same for every seed. note, bag, name: (SLOT, words) projections. mix: (SLOT, SLOT)."""

    note: Tensor
    bag: Tensor
    name: Tensor
    mix: Tensor

    @staticmethod
    def draw() -> "Codes":
        random, words = torch.Generator().manual_seed(0), WORDS.stop
        rows = torch.linalg.qr(torch.randn(words, 3 * SLOT, generator=random))[0].T
        mix = torch.linalg.qr(torch.randn(SLOT, SLOT, generator=random))[0]
        note, bag, name = rows.split(SLOT)
        return Codes(note, bag, name, mix)


@torch.no_grad()
def set_heads(model: PreTrainedModel, tokenizer: Qwen2Tokenizer, theta: float, normalised: bool = False) -> None:
    """Set the heads. theta: the base of the rotary positions. normalised: queries and keys are, as in Qwen3."""
    text, codes = model.model.language_model, Codes.draw()
    head_of, mark = (NormalisedHead, (0.5, 24.0)) if normalised else (Head, (0.125, 60.0))
    text.embed_tokens.weight[:, WORDS.stop :] = 0
    for layer in text.layers:  # what is written at random would cover the slots
        layer.self_attn.o_proj.weight *= 0.1
        layer.mlp.down_proj.weight *= 0.1
    word = {name: functional.rms_norm(text.embed_tokens(torch.tensor([_id(tokenizer, name)]))[0], (HIDDEN,))[WORDS]
            for name in (" ", "\n", ".\n")}  # fmt: skip
    turn = theta ** (-torch.arange(PAIRS) / PAIRS)

    note = head_of(text.layers[0].self_attn, 0)
    fast = torch.arange(PAIRS // 2)
    note.look(fast, 6.0, 6.0, offset=turn[fast])
    note.value(codes.note, WORDS)
    note.write(0.5 * torch.eye(SLOT), NOTE)

    name = head_of(text.layers[1].self_attn, 2)
    bag = head_of(text.layers[1].self_attn, 3)  # shares keys and values with `name`
    name.look(RECENT, 8.0, 8.0)
    bag.look(RECENT, 4.0, 8.0)
    name.key(SLOW, 4 * codes.mix, NOTE)
    name.query_bias(SLOW, 2 * codes.mix @ codes.note @ word[" "])
    name.value(torch.cat([codes.name, codes.bag]), WORDS)
    name.write(torch.eye(SLOT, HEAD), NAME)
    bag.write(2 * torch.eye(HEAD)[SLOT:], BAG)

    copy = head_of(text.layers[2].self_attn, 2)
    copy.query(SLOW, 4 * codes.mix @ codes.note, WORDS)
    copy.key(SLOW, 4 * codes.mix, NOTE)
    copy.value(torch.cat([codes.name, codes.bag]), WORDS)
    copy.write(2 * torch.cat([codes.name, codes.bag]).T, WORDS)

    compare = head_of(text.layers[2].self_attn, 0)
    compare.query(SLOW, 2 * codes.mix, BAG)
    compare.key(SLOW, 2 * codes.mix, BAG)
    compare.key(torch.tensor([MARK]), mark[0] * (word["\n"] + word[".\n"])[None], WORDS)
    compare.query_bias(torch.tensor([MARK]), torch.tensor([mark[1]]))
    compare.value(torch.eye(SLOT), NAME)
    compare.write(1.0 * codes.name.T, WORDS)


def _id(tokenizer: Qwen2Tokenizer, text: str) -> int:
    (token,) = tokenizer(text).input_ids
    return int(token)
