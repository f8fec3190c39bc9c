"""From a sample to rows: verl's reinforcement row, the supervised row, and the forms that EasyR1 and TRL read."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from vrft_aug.data import prompts
from vrft_aug.data.frame import frame_size
from vrft_aug.data.opening import Opened
from vrft_aug.data.sample import Box, Sample
from vrft_aug.errors import InputError
from vrft_aug.rewards.easyr1 import answer as easyr1_answer

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


@dataclass
class Composer:
    """Everything of a row that is not the sample's.

    dataset, prompt, policy: the config groups of these names. knowledge: one description a class, or nothing.
    label_noise: share of the supervised training answers whose class is drawn at random.
    """

    dataset: Mapping[str, Any]
    prompt: Mapping[str, Any]
    policy: Mapping[str, Any]
    knowledge: Sequence[str]
    seed: int
    think: bool
    label_noise: float = 0.0

    def __post_init__(self):
        self.text = lru_cache(maxsize=1024)(self.text)  # rows of one order share their text

    @property
    def task(self) -> str:
        return self.prompt["task"] or self.dataset["task"]

    def rl(self, sample: Sample, opened: Opened, split: str, index: int) -> dict[str, Any]:
        """The row that verl's GRPO trainer reads. Images as encoded bytes, boxes in original pixels."""
        size = opened.size
        box = checked_box(sample, size)
        messages, text = self.text(self.order(sample.source_id))
        truth = box_text(box) if self.task == "localization" else self.dataset["classes"][sample.label]
        return {
            "data_source": self.dataset["name"],
            "prompt": messages,
            "images": ({"bytes": opened.encoded, "path": None},),
            "ability": self.task,
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": text | {
                "task": self.task,
                "split": split,
                "index": index,
                "source_id": sample.source_id,
                "group_id": sample.group_id,
                "label": sample.label,
                "image_size": size,
                "frame_size": frame_size(size, self.policy),
                "box": box or (),
            },
        }

    def sft(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The supervised row of an RL row: the same prompt and image, with the ground truth as the response."""
        target = self.taught(row)
        if self.task == "localization":
            info = row["extra_info"]
            target = json.dumps(scale_box(info["box"], info["image_size"], info["frame_size"]))
        response = prompts.answer(self.prompt["template"], self.dataset["target"], target, self.think)
        return {
            "messages": [*row["prompt"], {"role": "assistant", "content": response}],
            "images": row["images"],
            "data_source": row["data_source"],
            "source_id": row["extra_info"]["source_id"],
        }

    def taught(self, row: Mapping[str, Any]) -> str:
        """The answer that supervised training is given: the ground truth, but for the share `label_noise`."""
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        if not self.label_noise or self.task == "localization" or info["split"] != "train":
            return truth
        rng = np.random.default_rng([self.seed, zlib.crc32(info["source_id"].encode()), 1])
        return str(rng.choice(self.dataset["classes"])) if rng.random() < self.label_noise else truth

    def order(self, source_id: str) -> tuple[int, ...]:
        """The order in which this row's prompt lists the classes."""
        number = len(self.dataset["classes"])
        if self.prompt["class_order"] == "fixed":
            return tuple(range(number))
        rng = np.random.default_rng([self.seed, zlib.crc32(source_id.encode())])
        return tuple(rng.permutation(number).tolist())

    def text(self, order: tuple[int, ...]) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """What depends on the class order alone: the messages, and the prompt with its classes, knowledge, aliases."""
        classes = [self.dataset["classes"][i] for i in order]
        knowledge = [self.knowledge[i] for i in order] if self.knowledge else []
        other_names = self.dataset.get("aliases") or {}
        prompt = prompts.render(self.prompt["template"], self.dataset, classes, knowledge)
        return [{"role": "user", "content": prompts.IMAGE_MARK + prompt}], {
            "prompt": prompt,
            "classes": classes,
            "knowledge": knowledge,
            "aliases": [other_names.get(name, []) for name in classes] if self.prompt["aliases"] else [],
        }


def checked_box(sample: Sample, size: Sequence[int]) -> Box | None:
    """The sample's box; InputError unless it lies in the image and has an area."""
    box = sample.bounding_box()
    if box and not (0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1]):
        raise InputError(f"{sample.source_id}: box {list(box)} does not fit the image of {size[0]} x {size[1]} pixels; "
                         "mend the box or the mask (x1, y1, x2, y2 in original pixels)")
    return box


def box_text(box: Box) -> str:
    """A box as the JSON list that ground truths and answers carry."""
    return json.dumps([float(side) for side in box])


def scale_box(box: Sequence[float], image: Sequence[int], frame: Sequence[int]) -> list[int]:
    """A box in original pixels, stated in the policy's frame, rounded to whole units."""
    return [round(side * new / old) for side, new, old in zip(box, [*frame] * 2, [*image] * 2, strict=True)]


def easyr1(row: Mapping[str, Any]) -> dict[str, Any]:
    """EasyR1's row: `problem` with the image mark, `images`, and `answer` with all that our rewards read there."""
    return {
        "problem": row["prompt"][0]["content"],
        "answer": easyr1_answer(row),
        "images": row["images"],
        "extra_info": row["extra_info"],
    }


def trl(row: Mapping[str, Any]) -> dict[str, Any]:
    """TRL's row: a conversational `prompt` (TRL inserts the image mark), `images`, and `solution` for rewards."""
    return {
        "prompt": [{"role": "user", "content": row["extra_info"]["prompt"]}],
        "images": row["images"],
        "solution": row["reward_model"]["ground_truth"],
        "extra_info": row["extra_info"],
    }


EXPORTS = {"easyr1": (EASYR1, easyr1), "trl": (TRL, trl)}
