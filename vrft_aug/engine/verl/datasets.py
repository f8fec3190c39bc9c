"""Gives the whole image of a row to the policy's processor, by subclasses of verl's two data sets.

verl 0.9.1 resizes each image when it loads it (qwen_vl_utils, fixed bounds), and the processor resizes it again. Of two
resizes the result differs from that of one, for about a fifth of all shapes at the large policies' bounds. A program
that loads the exported policy resizes once; so do these classes, and a box is in the same frame everywhere.

conf/grpo.yaml and conf/sft.yaml name the classes as `data.custom_cls`, an extension point of verl.
"""

import io
from typing import Any

from PIL import Image
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset


def decode(encoded: bytes) -> Image.Image:
    """The image of a row as the processor gets it: RGB, in its original size."""
    return Image.open(io.BytesIO(encoded)).convert("RGB")


class WholeImageRlDataset(RLHFDataset):
    """verl's data set for GRPO."""

    @classmethod
    def _process_multi_modal_info(cls, messages: list[dict], *_: Any, **__: Any) -> tuple[list[Image.Image], Any, Any]:
        """The images of a row's messages. Our rows have neither video nor audio."""
        return [part["image"].convert("RGB") for message in messages for part in message["content"]
                if part["type"] == "image"], None, None  # fmt: skip


class WholeImageSftDataset(MultiTurnSFTDataset):
    """verl's data set for SFT."""

    def _build_messages(self, example: dict) -> list[dict]:
        """verl leaves an image alone that is decoded already."""
        images = [decode(image["bytes"]) for image in example[self.image_key]]
        return super()._build_messages({**example, self.image_key: images})
