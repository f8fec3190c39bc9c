"""Computes the tiny Qwen3-VL's hidden states for a whole batch at once, as batched.py does for the Qwen2.5-VL."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen3VLForConditionalGeneration
from transformers.vision_utils import get_vision_position_ids

from vrft_aug.tiny.batched import Rotary, mlp, norm, places, rotate
from vrft_aug.tiny.model import IMAGE_TOKENS
from vrft_aug.tiny.qwen3_vl import PATCH, SIDE

MERGE = 2
GRID = SIDE // PATCH  # patches per side


def patches(images: Tensor) -> Tensor:
    """Grey images (batch, side, side) in 0 to 255 as the image processor's `pixel_values` (batch, GRID**2, values)."""
    larger = functional.interpolate(images[:, None], (SIDE, SIDE), mode="bicubic", antialias=True)
    pixels = larger.round().clamp(0, 255).expand(-1, 3, -1, -1) / 127.5 - 1
    half = GRID // MERGE
    blocks = pixels.reshape(len(images), 3, half, MERGE, PATCH, half, MERGE, PATCH).permute(0, 2, 5, 3, 6, 1, 4, 7)
    frames = blocks.reshape(len(images), GRID**2, 3, 1, PATCH**2).expand(-1, -1, -1, 2, -1)
    return frames.reshape(len(images), GRID**2, -1)


def vision_rotary(model: Qwen3VLForConditionalGeneration) -> Rotary:
    positions = get_vision_position_ids(torch.tensor([[1, GRID, GRID]]), MERGE)
    angles = model.model.visual.rotary_pos_emb(positions).reshape(GRID**2, -1)
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def see(model: Qwen3VLForConditionalGeneration, images: Tensor, rotary: Rotary) -> list[Tensor]:
    """Visual tokens (batch, IMAGE_TOKENS, hidden), and what DeepStack adds to them after each of the first layers."""
    visual = model.model.visual
    weight = visual.patch_embed.proj.weight
    hidden = functional.linear(patches(images), weight.view(len(weight), -1), visual.patch_embed.proj.bias)
    hidden = hidden + _in_blocks(visual.pos_embed.weight)
    deep: list[Tensor] = []
    for number, block in enumerate(visual.blocks):
        attention = block.attn
        values = attention.qkv(block.norm1(hidden)).unflatten(-1, (3, attention.num_heads, -1))
        query, key, value = values.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(rotate(query, rotary), rotate(key, rotary), value)
        hidden = hidden + attention.proj(seen.transpose(1, 2).flatten(2))
        hidden = hidden + block.mlp(block.norm2(hidden))
        if number in visual.deepstack_visual_indexes:
            deep.append(_merge(visual.deepstack_merger_list[len(deep)], hidden))
    return [_merge(visual.merger, hidden), *deep]


def _in_blocks(positions: Tensor) -> Tensor:
    """Position embeddings of a grid, row by row (GRID**2, width), in the order of the patches: token by token."""
    half = GRID // MERGE
    return positions.view(half, MERGE, half, MERGE, -1).transpose(1, 2).reshape(GRID**2, -1)


def _merge(merger: nn.Module, hidden: Tensor) -> Tensor:
    return merger(hidden.reshape(-1, hidden.shape[-1])).view(len(hidden), IMAGE_TOKENS, -1)


def text_rotary(model: Qwen3VLForConditionalGeneration, length: int, image_at: int | None) -> Rotary:
    """Tables of a text of `length` tokens; image_at: the place of the first visual token, None without an image."""
    text = model.model.language_model
    angles = places(length, image_at)[:, :, None].float() * text.rotary_emb.inv_freq.float()
    mixed = text.rotary_emb.apply_interleaved_mrope(angles, text.config.rope_parameters["mrope_section"])
    mixed = torch.cat((mixed, mixed), -1)
    return mixed.cos(), mixed.sin()


def read(
    model: Qwen3VLForConditionalGeneration, embedded: Tensor, rotary: Rotary, deep: Sequence[Tensor], image_at: int
) -> Tensor:
    """Last hidden states (batch, length, hidden) of embedded tokens. deep: of `see`; image_at: as in `text_rotary`."""
    hidden = embedded
    for number, layer in enumerate(model.model.language_model.layers):
        attention, values = layer.self_attn, norm(hidden, layer.input_layernorm)
        query, key, value = (project(values).unflatten(-1, (-1, attention.head_dim)) for project in
                             (attention.q_proj, attention.k_proj, attention.v_proj))  # fmt: skip
        query = rotate(norm(query, attention.q_norm).transpose(1, 2), rotary)
        key = rotate(norm(key, attention.k_norm).transpose(1, 2), rotary)
        share = query.shape[1] // key.shape[1]
        seen = functional.scaled_dot_product_attention(
            query, key.repeat_interleave(share, 1), value.transpose(1, 2).repeat_interleave(share, 1), is_causal=True
        )
        hidden = hidden + attention.o_proj(seen.transpose(1, 2).flatten(2))
        hidden = hidden + mlp(layer.mlp, norm(hidden, layer.post_attention_layernorm))
        if number < len(deep):
            after = hidden.shape[1] - image_at - IMAGE_TOKENS
            hidden = hidden + functional.pad(deep[number], (0, 0, image_at, after)).to(hidden.dtype)
    return norm(hidden, model.model.language_model.norm)
