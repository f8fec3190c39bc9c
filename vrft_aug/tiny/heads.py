"""Writes the weights of one attention head, for circuits.py: where it looks, what it compares, what it passes on."""

import torch
from torch import Tensor

HEAD = 32  # dimensions of an attention head
PAIRS = HEAD // 2  # pair i and i + PAIRS turn together with the position


class Head:
    """The parts of one attention head's weights. Two neighbouring heads share their keys and values."""

    def __init__(self, attention: torch.nn.Module, head: int) -> None:
        self.own, self.shared = slice(head * HEAD, (head + 1) * HEAD), slice(head // 2 * HEAD, (head // 2 + 1) * HEAD)
        self.attention = attention
        attention.q_proj.weight[self.own] = 0
        if head % 2 == 0:
            attention.k_proj.weight[self.shared] = 0
            attention.v_proj.weight[self.shared] = 0
        attention.o_proj.weight[:, self.own] = 0

    def look(self, pairs: Tensor, query: float, key: float, offset: Tensor | None = None) -> None:
        """Look `offset` (an angle per pair) back, or at the nearest tokens; larger sizes look more sharply."""
        angle = torch.zeros(len(pairs)) if offset is None else offset
        self.query_bias(pairs, query * angle.cos())
        self.query_bias(pairs + PAIRS, -query * angle.sin())
        self.key_bias(pairs, torch.full((len(pairs),), key))

    def query(self, rows: Tensor, weight: Tensor, read: slice) -> None:
        self.attention.q_proj.weight[self.own][rows, read] = weight

    def query_bias(self, rows: Tensor, bias: Tensor) -> None:
        self.attention.q_proj.bias[self.own][rows] = bias

    def key_bias(self, rows: Tensor, bias: Tensor) -> None:
        self.attention.k_proj.bias[self.shared][rows] = bias

    def key(self, rows: Tensor, weight: Tensor, read: slice) -> None:
        self.attention.k_proj.weight[self.shared][rows, read] = weight

    def value(self, weight: Tensor, read: slice) -> None:
        self.attention.v_proj.weight[self.shared][: len(weight), read] = weight

    def write(self, weight: Tensor, where: slice) -> None:
        """weight: from the value's dimensions to those written."""
        self.attention.o_proj.weight[where, self.own][:, : weight.shape[1]] = weight


class NormalisedHead(Head):
    """A head of Qwen3, whose queries and keys have no bias and one length. The constant hidden dimension (model.py) is
    its bias: `hold_read_constant` of qwen3_vl.py lets the attention read it. Sizes count only relative to each other.
    """

    def query(self, rows: Tensor, weight: Tensor, read: slice) -> None:
        super().query(rows, weight, read)
        self.query_bias(rows, torch.zeros(len(rows)))

    def query_bias(self, rows: Tensor, bias: Tensor) -> None:
        self.attention.q_proj.weight[self.own][rows, 0] = bias

    def key(self, rows: Tensor, weight: Tensor, read: slice) -> None:
        super().key(rows, weight, read)
        self.key_bias(rows, torch.zeros(len(rows)))

    def key_bias(self, rows: Tensor, bias: Tensor) -> None:
        self.attention.k_proj.weight[self.shared][rows, 0] = bias

    def value(self, weight: Tensor, read: slice) -> None:
        super().value(weight, read)
        self.attention.v_proj.weight[self.shared, 0] = 0
