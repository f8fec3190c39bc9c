"""Lets reference and actor compute each prompt once for all its samples, with the same result.

verl 0.9.1 computes every sample from its first token (its `use_prefix_grouper` is for text, and for an older trainer).
Here the language model first computes the prompt as one row into a key-value cache; gradients flow through the cache.
Then it repeats the cache, and computes the rest of every sample from it. The sums are the same, and those of prompt
and image are computed once, not eight times. verl's `force_group_size` keeps a prompt's samples in one micro-batch.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    Qwen2_5_VLTextModel,
)
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel, Qwen3VLVisionModel

EYES = (Qwen2_5_VisionTransformerPretrainedModel, Qwen3VLVisionModel)
LANGUAGE = (Qwen2_5_VLTextModel, Qwen3VLTextModel)


@dataclass
class Sharing:
    """What the rows of a micro-batch have in common; nothing until `look` finds it."""

    samples: int = 1  # number of consecutive rows that answer the same prompt
    tokens: int = 0  # number of tokens that these rows share at their start
    images: int = 0  # number of images of each row

    def look(self, inputs: dict[str, torch.Tensor], samples: int, tokens: int) -> None:
        """Share if each group of `samples` rows begins with the same `tokens` tokens and has the same images, and if
        all rows have equally many.

        inputs: `input_ids` (rows, padded tokens); `pixel_values` and `image_grid_thw` as in transformers.
        """
        images = split_images(inputs["pixel_values"], inputs["image_grid_thw"]) if "pixel_values" in inputs else ()
        groups = inputs["input_ids"][:, :tokens].unflatten(0, (-1, samples))
        per_row, more = divmod(len(images), len(inputs["input_ids"]))
        same = bool((groups == groups[:, :1]).all()) and per_row > 0 and not more
        same = same and all(map(torch.equal, images, of_first_samples(images, per_row, samples, samples)))
        self.samples, self.tokens, self.images = (samples, tokens, per_row) if same and tokens else (1, 0, 0)


def samples_together(prompts: Sequence[str], lengths: torch.Tensor, shared: int, budget: int) -> int:
    """How many samples of each prompt share one micro-batch of at most `budget` computed tokens: all, or a part.

    prompts: the prompt of each row. lengths: (rows,) number of tokens of each row, of which the first `shared` are
    computed once. Returns 1 if prompts differ in their number of samples, or if the samples of a prompt are not
    consecutive.
    """
    runs = [len(list(run)) for _, run in itertools.groupby(prompts)]
    if len(set(runs)) > 1 or len(runs) > len(set(prompts)):
        return 1
    parts = [runs[0] // divisor for divisor in range(1, runs[0] + 1) if runs[0] % divisor == 0]
    return next((part for part in parts if computed_tokens(lengths, part, shared).max() <= budget), 1)


def whole_tokens(lengths: torch.Tensor, samples: int, shared: int, budget: int) -> int:
    """How many tokens whole samples may have in a micro-batch of about `budget` computed tokens: verl counts those.

    As many groups of `samples` rows of average length as the budget holds whole. It is at least the tokens of the
    longest group, which verl cannot divide.
    """
    computed = computed_tokens(lengths, samples, shared)
    groups = max(budget * len(computed) // int(computed.sum()), 1)
    longest = int(lengths.unflatten(0, (-1, samples)).sum(1).max())
    return max(budget + groups * (samples - 1) * shared, longest if samples > 1 else 0)


def computed_tokens(lengths: torch.Tensor, samples: int, shared: int) -> torch.Tensor:
    """(groups,) number of tokens that are computed of each group of `samples` rows with `shared` equal first tokens."""
    return lengths.unflatten(0, (-1, samples)).sum(1) - (samples - 1) * shared


def share_prompts(policy: torch.nn.Module) -> Sharing:
    """Make a Qwen2.5-VL or Qwen3-VL compute shared prompts once. What it returns says what is shared in each call."""
    sharing = Sharing()
    for module in policy.modules():
        if isinstance(module, LANGUAGE):
            module.forward = _compute_prompts_once(module.forward, sharing)
        if isinstance(module, EYES):
            module.forward = _see_images_once(module.forward, sharing)
    return sharing


def _compute_prompts_once(compute: Callable[..., BaseModelOutputWithPast], sharing: Sharing) -> Callable:
    def forward(
        inputs_embeds: torch.Tensor, attention_mask: torch.Tensor, position_ids: torch.Tensor, **options: Any
    ) -> BaseModelOutputWithPast:
        """Embeddings (rows, tokens, width), mask (rows, tokens), positions (4, rows, tokens), padded on the right."""

        def run(rows: slice, tokens: slice, seen: slice, **more: Any) -> torch.Tensor:
            return compute(
                inputs_embeds=inputs_embeds[rows, tokens], position_ids=position_ids[:, rows, tokens],
                attention_mask=attention_mask[rows, seen], **(options | more),
            ).last_hidden_state  # fmt: skip

        whole, samples = slice(None), sharing.samples
        images = options.get("visual_pos_masks")  # (rows, tokens), of Qwen3-VL
        if samples == 1 or (images is not None and images[:, sharing.tokens :].any()):
            return compute(
                inputs_embeds=inputs_embeds, attention_mask=attention_mask, position_ids=position_ids, **options
            )
        prompt, rest = slice(sharing.tokens), slice(sharing.tokens, None)
        cache = DynamicCache()
        deep = {} if images is None else _deep_features_once(options, samples, sharing.tokens)
        prompts = run(slice(None, None, samples), prompt, prompt, past_key_values=cache, use_cache=True, **deep)
        cache.batch_repeat_interleave(samples)
        answers = run(whole, rest, whole, past_key_values=cache, use_cache=True, **dict.fromkeys(deep))
        hidden = torch.cat([prompts.repeat_interleave(samples, 0), answers], 1)
        return BaseModelOutputWithPast(last_hidden_state=hidden)

    return forward


def _deep_features_once(options: dict[str, Any], samples: int, tokens: int) -> dict[str, Any]:
    """What Qwen3-VL adds to the visual tokens of its first layers (DeepStack), for one row per prompt.

    options: `visual_pos_masks` (rows, tokens) and `deepstack_visual_embeds`, a (visual tokens of all rows, width) each.
    """
    images, sizes = options["visual_pos_masks"], options["visual_pos_masks"].sum(1).tolist()
    deep = [torch.cat(one.split(sizes)[::samples]) for one in options["deepstack_visual_embeds"]]
    return {"visual_pos_masks": images[::samples, :tokens], "deepstack_visual_embeds": deep}


def _see_images_once(see: Callable, sharing: Sharing) -> Callable:
    def forward(patches: torch.Tensor, grid_thw: torch.Tensor, **options: Any) -> Any:
        """Patches of all images (patches, values) and their grids (images, 3); equally many per row of the batch."""
        samples, per_row = sharing.samples, sharing.images
        if samples == 1:
            return see(patches, grid_thw=grid_thw, **options)
        images = of_first_samples(split_images(patches, grid_thw), per_row, samples)
        grids = torch.stack(of_first_samples(grid_thw.unbind(), per_row, samples))
        seen = see(torch.cat(images), grid_thw=grids, **options)
        merged = sum(map(len, images)) // len(seen.pooler_output)  # patches per token

        def repeated(tokens: torch.Tensor) -> torch.Tensor:
            features = tokens.split([len(image) // merged for image in images])
            prompts = (features[at : at + per_row] for at in range(0, len(features), per_row))
            return torch.cat([feature for prompt in prompts for feature in prompt * samples])

        seen.pooler_output = repeated(seen.pooler_output)
        if deep := getattr(seen, "deepstack_features", None):
            seen.deepstack_features = [repeated(one) for one in deep]
        return seen

    return forward


def of_first_samples(
    images: Sequence[torch.Tensor], per_row: int, samples: int, times: int = 1
) -> list[torch.Tensor]:
    """The images of the first of each prompt's samples, `times` times per prompt. images: `per_row` of each sample."""
    size = per_row * samples
    return [image for at in range(0, len(images), size) for image in [*images[at : at + per_row]] * times]


def split_images(patches: torch.Tensor, grid_thw: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return patches.split(grid_thw.prod(1).tolist())
