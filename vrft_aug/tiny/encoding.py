"""Turns the texts of lessons into batches: tokens, their weights in the loss, and where names and thoughts are."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Qwen2Tokenizer

from vrft_aug.tiny.lessons import Text


@dataclass
class Batch:
    """tokens (rows, length); weights (rows, length): of a token in the loss, 0 where it is given.

    firsts: (row, token) of the first token of each name that can be known from a description. told: (row, first token,
    last token + 1) of each response's thought.
    """

    tokens: Tensor
    weights: Tensor
    firsts: list[tuple[int, int]]
    told: list[tuple[int, int, int]]


class Encoder:
    """Encodes texts for one tokenizer, in rows of one length."""

    def __init__(self, tokenizer: Qwen2Tokenizer, length: int) -> None:
        self.tokenizer, self.length = tokenizer, length

    def fits(self, text: Text) -> bool:
        return len(self.tokenizer(text.text).input_ids) <= self.length

    def batch(self, texts: Sequence[Text], copies: Sequence[list[int]] = ()) -> Batch:
        """A batch of texts, cut to the length, and of `copies`: sequences that are repeated until the row ends."""
        rows = len(texts) + len(copies)
        tokens = torch.full((rows, self.length), self.tokenizer.pad_token_id)
        batch = Batch(tokens, torch.zeros(rows, self.length), [], [])
        for row, text in enumerate(texts):
            self._add(batch, row, text)
        for row, sequence in enumerate(copies, len(texts)):
            repeated = (sequence * (self.length // len(sequence) + 1))[: self.length]
            tokens[row] = torch.tensor(repeated)
            batch.weights[row, len(sequence) + 3 :] = 1.0
        return batch

    def _add(self, batch: Batch, row: int, text: Text) -> None:
        encoded = self.tokenizer(text.text, return_offsets_mapping=True)
        ids, offsets = encoded.input_ids[: self.length], encoded.offset_mapping[: self.length]
        batch.tokens[row, : len(ids)] = torch.tensor(ids)
        batch.weights[row, : len(ids)] = torch.tensor(_weights(text, offsets))
        token_at = [-1] * (len(text.text) + 1)  # character -> the token that holds it
        for token, (start, end) in enumerate(offsets):
            token_at[start:end] = [token] * (end - start)
        for start, end, name, known in text.queries:
            if token_at[name] < 0:  # cut off
                break
            batch.told.append((row, token_at[start], token_at[end - 1] + 1))
            if known:
                batch.firsts.append((row, token_at[name]))


def _weights(text: Text, offsets: Sequence[tuple[int, int]]) -> list[float]:
    """The largest weight of the pieces that each token touches."""
    found, at = [], 0
    for start, end in offsets:
        while text.pieces[at][0] <= start:
            at += 1
        last, weight = at, text.pieces[at][1]
        while text.pieces[last][0] < end:
            last += 1
            weight = max(weight, text.pieces[last][1])
        found.append(weight)
    return found


def copying(rng: random.Random, tokenizer: Qwen2Tokenizer) -> list[int]:
    """A sequence of 12 to 60 random tokens over a small set of tokens."""
    pool = [rng.randrange(len(tokenizer) - 20) for _ in range(rng.randint(10, 40))]
    return [rng.choice(pool) for _ in range(rng.randint(12, 60))]
