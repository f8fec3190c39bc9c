"""Lets transformers write greedy responses for the probes, many prompts at a time."""

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

ROWS = 64  # prompts at a time
LONGEST = 80  # tokens of a response


@torch.no_grad()
def generate(
    model: PreTrainedModel, processor: ProcessorMixin, prompts: Sequence[str], images: Sequence[Image.Image] | None
) -> list[str]:
    """A greedy response to each prompt, which is a whole conversation in the chat format. images: one each, or None."""
    found: list[str] = []
    processor.tokenizer.padding_side = "left"
    for start in range(0, len(prompts), ROWS):
        rows = slice(start, start + ROWS)
        shown = {} if images is None else {"images": list(images[rows])}
        inputs = processor(text=list(prompts[rows]), padding=True, return_tensors="pt", **shown)
        tokens = model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        found += processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return found
