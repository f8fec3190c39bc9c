"""Defines a row twice: as Python types, and as the arrow schemas of the parquet files (ours, EasyR1's and TRL's)."""

from collections.abc import Sequence
from typing import TypedDict

import pyarrow as pa

from vrft_aug.rewards.row import ExtraInfo

# ruff: noqa: UP013, short types need no class
EncodedImage = TypedDict("EncodedImage", {"bytes": bytes, "path": str | None})
Message = TypedDict("Message", {"role": str, "content": str})
Truth = TypedDict("Truth", {"style": str, "ground_truth": str})


class Row(TypedDict):
    """A row as verl's GRPO trainer reads it.

    prompt: one user message that begins with a mark per image. images: the encoded images, one or more. ability: the
    task.
    ground_truth: the class name, the grade, the option, or the box as a JSON list in original pixels, after the number
    of its image where there are several; for detection a list of such boxes.
    """

    data_source: str
    prompt: list[Message]
    images: Sequence[EncodedImage]
    ability: str
    reward_model: Truth
    extra_info: ExtraInfo


class SftRow(TypedDict):
    """A row as verl's SFT trainer reads it. messages: the prompt and the response to learn."""

    messages: list[Message]
    images: Sequence[EncodedImage]
    data_source: str
    source_id: str


_TEXTS = pa.list_(pa.string())
_MESSAGES = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
_IMAGES = pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()}))
_TAGS = pa.list_(pa.struct({"name": pa.string(), "value": pa.string()}))
_READING = pa.struct({
    "treatment": pa.string(),
    "window": pa.list_(pa.float64()),
    "spacing": pa.list_(pa.float64()),
    "frame": pa.int64(),
})
_EXTRA = pa.struct({
    "task": pa.string(),
    "split": pa.string(),
    "index": pa.int64(),
    "source_id": pa.string(),
    "group_id": pa.string(),
    "label": pa.int64(),
    "classes": _TEXTS,
    "knowledge": _TEXTS,
    "aliases": pa.list_(_TEXTS),
    "prompt": pa.string(),
    "form": pa.string(),
    "confidence": pa.bool_(),
    "image_size": pa.list_(pa.int64()),
    "frame_size": pa.list_(pa.int64()),
    "box": pa.list_(pa.float64()),
    "findings": pa.string(),
    "slices": _TAGS,
    "readers": _TAGS,
})
RL = pa.schema({
    "data_source": pa.string(),
    "prompt": _MESSAGES,
    "images": _IMAGES,
    "ability": pa.string(),
    "reward_model": pa.struct({"style": pa.string(), "ground_truth": pa.string()}),
    "extra_info": _EXTRA,
})
SFT = pa.schema({"messages": _MESSAGES, "images": _IMAGES, "data_source": pa.string(), "source_id": pa.string()})
EASYR1 = pa.schema({"problem": pa.string(), "answer": pa.string(), "images": _IMAGES, "extra_info": _EXTRA})
TRL = pa.schema({"prompt": _MESSAGES, "images": _IMAGES, "solution": pa.string(), "extra_info": _EXTRA})


def rl_schema(record: bool) -> pa.Schema:
    """The schema of GRPO's rows. record: with `extra_info.readings`, one per image; null for an ordinary image."""
    if not record:
        return RL
    extra = pa.struct([*_EXTRA, pa.field("readings", pa.list_(_READING))])
    return RL.set(RL.get_field_index("extra_info"), pa.field("extra_info", extra))
