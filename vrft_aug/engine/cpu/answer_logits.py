"""Computes logits only where they predict an answer's token: nobody reads those of the prompt.

verl 0.9.1 computes the logits of whole samples without `use_remove_padding`, and copies them several times. With a
prompt of 150 tokens and an answer of 27 these are six times as many numbers as the loss, the KL divergence and the
entropy need, which read the answer alone (verl/workers/utils/padding.py, `no_padding_2_padding`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu

READ_ALL = ("use_fused_kernels", "calculate_sum_pi_squared", "distillation_use_topk")  # settings of verl


def unread_tokens(micro_batch: TensorDict) -> int:
    """How many first tokens of every row have logits that nobody reads: all of the shortest prompt but its last.

    0 for rows that are no rollout, for rows without padding, and with settings that take the logits of all tokens.
    """
    if "prompts" not in micro_batch or tu.get_non_tensor_data(micro_batch, "use_remove_padding", True):
        return 0
    if any(tu.get_non_tensor_data(micro_batch, setting, False) for setting in READ_ALL):
        return 0
    return max(0, int(micro_batch["prompts"].offsets().diff().min()) - 1)


def leave_out(head: torch.nn.Module, unread: Callable[[], int]) -> None:
    """Make an output head leave out the first tokens of its input (rows, tokens, width); unread(): their number."""
    compute = head.forward
    head.forward = lambda hidden: compute(hidden[:, unread() :])


def shortened(tokens: torch.Tensor, labels: torch.Tensor, unread: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Nested tokens (rows, their lengths), and a label of each (number of tokens,), without the unread ones."""
    read = _read(tokens.offsets(), unread)
    offsets = tokens.offsets() - unread * torch.arange(len(tokens.offsets()), device=tokens.device)
    return torch.nested.nested_tensor_from_jagged(tokens.values()[read], offsets), labels[read]


def lengthened(outputs: Mapping[str, Any], offsets: torch.Tensor, unread: int) -> dict[str, Any]:
    """verl's outputs per token (nested) for rows of full length, with zeros for the unread tokens.

    offsets: (rows + 1,) where each row of full length begins.
    """
    read = _read(offsets, unread)
    return {name: torch.nested.nested_tensor_from_jagged(_spread(values.values(), read), offsets)
            for name, values in outputs.items()}  # fmt: skip


def _spread(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(places), dtype=values.dtype, device=values.device).masked_scatter(places, values)


def _read(offsets: torch.Tensor, unread: int) -> torch.Tensor:
    """Which of the rows' tokens, one row after the other, are not among the first `unread` of their row."""
    lengths = offsets.diff()
    place = torch.arange(int(offsets[-1]), device=offsets.device) - offsets[:-1].repeat_interleave(lengths)
    return place >= unread
