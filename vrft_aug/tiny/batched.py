"""Computes the tiny policy's hidden states for a whole batch at once, from the weights of the Hugging Face model.

transformers runs the vision tower's attention image by image, which takes five times as long on a CPU. These functions
serve the training of the tiny policy alone; a test holds them equal to the Hugging Face model.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.vision_utils import get_vision_position_ids

from vrft_aug.tiny.model import IMAGE_TOKENS, SIDE

PATCH, MERGE = 14, 2
GRID = SIDE // PATCH  # patches per side
MEAN = (0.48145466, 0.4578275, 0.40821073)  # the image processor's
STD = (0.26862954, 0.26130258, 0.27577711)
Rotary = tuple[Tensor, Tensor]  # cosine and sine, (length, head dimension)


def patches(images: Tensor) -> Tensor:
    """Grey images (batch, SIDE, SIDE) in 0 to 255 as the image processor's `pixel_values` (batch, GRID**2, values)."""
    pixels = (images[:, None] / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    half = GRID // MERGE
    blocks = pixels.view(len(images), 3, half, MERGE, PATCH, half, MERGE, PATCH).permute(0, 2, 5, 3, 6, 1, 4, 7)
    frames = blocks.reshape(len(images), GRID**2, 3, 1, PATCH**2).expand(-1, -1, -1, 2, -1)
    return frames.reshape(len(images), GRID**2, -1)


def vision_rotary(model: Qwen2_5_VLForConditionalGeneration) -> Rotary:
    positions = get_vision_position_ids(torch.tensor([[1, GRID, GRID]]), MERGE)
    angles = model.model.visual.rotary_pos_emb(positions).reshape(GRID**2, -1)
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def see(model: Qwen2_5_VLForConditionalGeneration, images: Tensor, rotary: Rotary) -> Tensor:
    """The visual tokens (batch, IMAGE_TOKENS, hidden) of grey images (batch, SIDE, SIDE)."""
    visual = model.model.visual
    weight = visual.patch_embed.proj.weight
    hidden = functional.linear(patches(images), weight.view(len(weight), -1))
    for block in visual.blocks:
        attention = block.attn
        values = attention.qkv(norm(hidden, block.norm1)).unflatten(-1, (3, attention.num_heads, -1))
        query, key, value = values.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(rotate(query, rotary), rotate(key, rotary), value)
        hidden = hidden + attention.proj(seen.transpose(1, 2).flatten(2))
        hidden = hidden + mlp(block.mlp, norm(hidden, block.norm2))
    hidden = norm(hidden, visual.merger.ln_q).reshape(len(images), IMAGE_TOKENS, -1)
    return visual.merger.mlp(hidden)


def text_rotary(model: Qwen2_5_VLForConditionalGeneration, length: int, image_at: int | None) -> Rotary:
    """Tables of a text of `length` tokens; image_at: the place of the first visual token, None without an image."""
    text = model.model.language_model
    angles = places(length, image_at)[:, :, None].float() * text.rotary_emb.inv_freq.float()
    angles = torch.cat((angles, angles), -1)
    sections = text.config.rope_parameters["mrope_section"] * 2
    chosen = torch.cat([part[index % 3] for index, part in enumerate(angles.split(sections, -1))], -1)
    return chosen.cos(), chosen.sin()


def places(length: int, image_at: int | None) -> Tensor:
    """Time, row and column (3, length) of each token."""
    found = torch.arange(length).expand(3, length).clone()
    if image_at is not None:
        side = GRID // MERGE
        token, end = torch.arange(IMAGE_TOKENS), image_at + IMAGE_TOKENS
        found[:, image_at:end] = image_at + torch.stack([torch.zeros_like(token), token // side, token % side])
        found[:, end:] -= IMAGE_TOKENS - side
    return found


def read(model: Qwen2_5_VLForConditionalGeneration, embedded: Tensor, rotary: Rotary) -> Tensor:
    """Last hidden states (batch, length, hidden) of embedded tokens."""
    hidden = embedded
    for layer in model.model.language_model.layers:
        attention, size = layer.self_attn, layer.self_attn.head_dim
        values = norm(hidden, layer.input_layernorm)
        query, key, value = (project(values).unflatten(-1, (-1, size)).transpose(1, 2)
                             for project in (attention.q_proj, attention.k_proj, attention.v_proj))  # fmt: skip
        query, key = rotate(query, rotary), rotate(key, rotary)
        share = query.shape[1] // key.shape[1]
        seen = functional.scaled_dot_product_attention(
            query, key.repeat_interleave(share, 1), value.repeat_interleave(share, 1), is_causal=True
        )
        hidden = hidden + attention.o_proj(seen.transpose(1, 2).flatten(2))
        hidden = hidden + mlp(layer.mlp, norm(hidden, layer.post_attention_layernorm))
    return norm(hidden, model.model.language_model.norm)


def norm(hidden: Tensor, layer: nn.Module) -> Tensor:
    return functional.rms_norm(hidden, hidden.shape[-1:], layer.weight, layer.variance_epsilon)


def mlp(layer: nn.Module, hidden: Tensor) -> Tensor:
    return layer.down_proj(functional.silu(layer.gate_proj(hidden)) * layer.up_proj(hidden))


def rotate(heads: Tensor, rotary: Rotary) -> Tensor:
    cosine, sine = (table.to(heads.dtype) for table in rotary)
    first, second = heads.chunk(2, -1)
    return heads * cosine + torch.cat((-second, first), -1) * sine
