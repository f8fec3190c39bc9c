"""Makes the network of the tiny Qwen3-VL before any training, with its tokenizer and processor.

Architecture, chat format, image processor and file layout are Qwen3-VL's. Three things differ from the Qwen2.5-VL of
model.py: queries and keys are normalised and have no bias; features of a middle block of the vision tower enter the
language model a second time, after its first layer (DeepStack: arXiv:2406.04334); and `<think>`, `</think>` are tokens.
"""

import torch
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from vrft_aug.tiny import tokenizer as words
from vrft_aug.tiny.circuits import HIDDEN, set_heads
from vrft_aug.tiny.heads import HEAD
from vrft_aug.tiny.model import CONSTANT, LAYERS, THETA, draw_weights, hold_constant, sizes

PATCH = 16
SIDE = 8 * PATCH  # every square image is resized to this side: 8 x 8 patches, so 16 visual tokens, as in model.py
HALF = [0.5, 0.5, 0.5]  # mean and standard deviation of the image processor
# Rotary pairs for time, row and column, interleaved: pair 1 is of the row, pair 2 of the column, as in model.py.
SECTIONS = [14, 1, 1]
TEXT = dict(hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=4,
            num_key_value_heads=2, head_dim=HEAD, max_position_embeddings=4096,
            rope_parameters=dict(rope_type="default", rope_theta=THETA, mrope_section=SECTIONS,
                                 mrope_interleaved=True))  # fmt: skip
VISION = dict(hidden_size=96, intermediate_size=192, depth=2, num_heads=4, out_hidden_size=HIDDEN, patch_size=PATCH,
              spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=64,
              deepstack_visual_indexes=[0])  # fmt: skip
READ = (0.11, 0.17, 0.35, 0.6)  # about the size of the hidden states before each layer, when the heads are set
GAINS = (3.0, 2.4, 2.4, 1.0)  # lengths of queries and keys, per dimension: how sharply a layer's heads look
THINKING = ("<think>", "</think>")  # tokens, but no special tokens: decoding keeps them
# Qwen3-VL's chat format begins without a system turn.
CHAT_TEMPLATE = words.CHAT_TEMPLATE[words.CHAT_TEMPLATE.index("{%- for message in messages") :]


def train_tokenizer(corpus: list[str]) -> Qwen2Tokenizer:
    """The tokenizer of tokenizer.py, with Qwen3-VL's chat template and its tokens of thinking."""
    tokenizer = words.train_tokenizer(corpus)
    tokenizer.add_tokens(list(THINKING))
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_processor(tokenizer: Qwen2Tokenizer) -> Qwen3VLProcessor:
    size = {"shortest_edge": SIDE**2, "longest_edge": SIDE**2}
    image = Qwen2VLImageProcessor(size=size, patch_size=PATCH, image_mean=HALF, image_std=HALF)
    return Qwen3VLProcessor(image_processor=image, tokenizer=tokenizer,
                            video_processor=Qwen3VLVideoProcessor(size=size),
                            chat_template=tokenizer.chat_template)  # fmt: skip


def make_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen3VLForConditionalGeneration:
    """A model with random weights, whose head and embedding are one matrix; each parameter has its own stream."""
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**sizes(tokenizer, TEXT, VISION)))
    draw_weights(model, tokenizer, seed)
    set_heads(model, tokenizer, THETA, normalised=True)
    for layer, gain in zip(model.model.language_model.layers, GAINS, strict=True):
        for norm in (layer.self_attn.q_norm, layer.self_attn.k_norm):
            torch.nn.init.constant_(norm.weight, gain)
    hold_read_constant(model)
    return model


@torch.no_grad()
def hold_read_constant(model: Qwen3VLForConditionalGeneration) -> None:
    """Keep the first hidden dimension one constant, of words and visual tokens. No layer writes it, and attention alone
    reads it: its queries, keys and values have no other bias."""
    hold_constant(model)
    for layer, size in zip(model.model.language_model.layers, READ, strict=True):
        layer.input_layernorm.weight[0] = size
    visual = model.model.visual
    for merger in (visual.merger, *visual.deepstack_merger_list):
        merger.linear_fc2.weight[0] = 0
        merger.linear_fc2.bias[0] = 0
    visual.merger.linear_fc2.bias[0] = CONSTANT
