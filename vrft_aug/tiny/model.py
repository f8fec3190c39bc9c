"""Makes the tiny policy's network, a Qwen2.5-VL of about a million parameters, before any training.

Architecture, chat format, image processor and file layout are Qwen2.5-VL's, so every stage (vLLM, FSDP, `vllm serve`,
`AutoModelForImageTextToText`) runs unchanged. A few heads are not random at the start: see circuits.py.
"""

import zlib
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from vrft_aug.tiny import tokenizer as words
from vrft_aug.tiny.circuits import HIDDEN, set_heads

SIDE = 112  # every square image is resized to this side
PIXELS = SIDE**2
IMAGE_TOKENS = 16
LAYERS = 4
THETA = 1e6
# Rotary pairs for time, row and column. The pairs become slower from left to right, and only the first few are fast
# enough to tell neighbours of 4 rows and 4 columns apart; Qwen2.5-VL's own shares would leave the columns none of them.
SECTIONS = [1, 1, 14]
TEXT = dict(hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=4096,
            rope_parameters=dict(rope_type="default", rope_theta=THETA, mrope_section=SECTIONS))  # fmt: skip
VISION = dict(hidden_size=96, intermediate_size=192, depth=2, num_heads=4, out_hidden_size=HIDDEN, patch_size=14,
              spatial_merge_size=2, temporal_patch_size=2, window_size=SIDE, fullatt_block_indexes=[1])  # fmt: skip
CONSTANT = 1.0  # value of the first hidden dimension of every word


def make_processor(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLProcessor:
    size = {"shortest_edge": PIXELS, "longest_edge": PIXELS}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size), tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=size), chat_template=tokenizer.chat_template,
    )  # fmt: skip


def make_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """A model with random weights, whose head and embedding are one matrix; each parameter has its own stream."""
    config = Qwen2_5_VLConfig(**sizes(tokenizer, TEXT, VISION))
    model = Qwen2_5_VLForConditionalGeneration(config)
    draw_weights(model, tokenizer, seed)
    set_heads(model, tokenizer, THETA)
    hold_constant(model)
    return model


def sizes(tokenizer: Qwen2Tokenizer, text: dict[str, Any], vision: dict[str, Any]) -> dict[str, Any]:
    """The keys of the model's config: its sizes, and the numbers of its special tokens."""
    token, special = tokenizer.convert_tokens_to_ids, _special(tokenizer)
    return dict(
        text_config=dict(vocab_size=len(tokenizer), tie_word_embeddings=True, **text, **special), vision_config=vision,
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"), tie_word_embeddings=True,
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"), dtype="float32",
        **special,
    )  # fmt: skip


def _special(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    token = tokenizer.convert_tokens_to_ids
    return dict(bos_token_id=token("<|endoftext|>"), eos_token_id=token("<|im_end|>"),
                pad_token_id=token("<|endoftext|>"))  # fmt: skip


def draw_weights(model: PreTrainedModel, tokenizer: Qwen2Tokenizer, seed: int) -> None:
    """Draw every matrix at random, each from its own stream."""
    model.generation_config = GenerationConfig(**_special(tokenizer))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            scale = HIDDEN**-0.5 if "embed_tokens" in name else parameter[0].numel() ** -0.5
            scale *= (2 * LAYERS) ** -0.5 if "o_proj" in name or "down_proj" in name else 1
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
            torch.nn.init.normal_(parameter, std=scale, generator=generator)


@torch.no_grad()
def hold_constant(model: PreTrainedModel) -> None:
    """Keep the first hidden dimension one constant for every word: no layer reads or writes it.

    With one matrix for embedding and head, it adds the same to each logit, hence nothing to the probabilities.
    """
    text = model.model.language_model
    text.embed_tokens.weight[:, 0] = CONSTANT
    text.norm.weight[0] = 1
    for layer in text.layers:
        layer.input_layernorm.weight[0] = layer.post_attention_layernorm.weight[0] = 0
        layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0


@torch.no_grad()
def silence(model: PreTrainedModel, tokenizer: Qwen2Tokenizer) -> None:
    """Give the head a matrix of its own, in which no vision token can be sampled: for an image placeholder, vLLM would
    look for a missing image. A large model has learnt never to write them. The constant dimension works as a bias."""
    embedding = model.model.language_model.embed_tokens
    model.lm_head.weight = torch.nn.Parameter(embedding.weight.clone())
    model.lm_head.weight[:, 0] = 0
    model.lm_head.weight[tokenizer.convert_tokens_to_ids(list(words.VISION_TOKENS)), 0] = -1000
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = False
