"""Lists the architectures that a tiny policy can have, and what the training of one needs to know about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import ProcessorMixin, Qwen2Tokenizer

from vrft_aug.data.phantoms.drawing import SIDE
from vrft_aug.errors import InputError
from vrft_aug.tiny import batched, batched_qwen3, model, qwen3_vl
from vrft_aug.tiny import tokenizer as words

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
USER = "<|im_start|>user\n"

Model = Any  # transformers' PreTrainedModel, whose parts mypy does not know


@dataclass(frozen=True)
class Architecture:
    """start: how a conversation begins in its chat format. frame: side of the frame of its boxes.

    hold_constant: keeps the first hidden dimension constant (model.py). see: images (batch, side, side) in 0 to 255 ->
    visual tokens and, behind them, what enters later layers. read: hidden states of embedded tokens, with these.
    """

    name: str
    start: str
    frame: int
    train_tokenizer: Callable[[list[str]], Qwen2Tokenizer]
    make_model: Callable[[Qwen2Tokenizer, int], Model]
    make_processor: Callable[[Qwen2Tokenizer], ProcessorMixin]
    hold_constant: Callable[[Model], None]
    vision_rotary: Callable[[Model], batched.Rotary]
    text_rotary: Callable[[Model, int, int | None], batched.Rotary]
    see: Callable[[Model, Tensor, batched.Rotary], list[Tensor]]
    read: Callable[[Model, Tensor, batched.Rotary, Sequence[Tensor], int], Tensor]


def _see(policy: Model, images: Tensor, rotary: batched.Rotary) -> list[Tensor]:
    return [batched.see(policy, images, rotary)]


def _read(policy: Model, embedded: Tensor, rotary: batched.Rotary, deep: Sequence[Tensor], image_at: int) -> Tensor:
    return batched.read(policy, embedded, rotary)


QWEN2_5_VL = Architecture(
    "qwen2_5_vl", SYSTEM + USER, SIDE, words.train_tokenizer, model.make_model, model.make_processor,
    model.hold_constant, batched.vision_rotary, batched.text_rotary, _see, _read,
)  # fmt: skip
QWEN3_VL = Architecture(
    "qwen3_vl", USER, 1000, qwen3_vl.train_tokenizer, qwen3_vl.make_model, qwen3_vl.make_processor,
    qwen3_vl.hold_read_constant, batched_qwen3.vision_rotary, batched_qwen3.text_rotary, batched_qwen3.see,
    batched_qwen3.read,
)  # fmt: skip
ARCHITECTURES = {one.name: one for one in (QWEN2_5_VL, QWEN3_VL)}


def find(name: str) -> Architecture:
    """Raises InputError for a name that is not in ARCHITECTURES."""
    if name not in ARCHITECTURES:
        raise InputError(f"architecture={name}: choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
