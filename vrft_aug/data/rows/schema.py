"""The arrow schemas of the parquet files: verl's reinforcement and supervised rows, EasyR1's and TRL's."""

import pyarrow as pa

_TEXTS = pa.list_(pa.string())
_MESSAGES = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
_IMAGES = pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()}))
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
    "image_size": pa.list_(pa.int64()),
    "frame_size": pa.list_(pa.int64()),
    "box": pa.list_(pa.float64()),
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
