"""Composes rows: a sample becomes verl's reinforcement row, and that row a supervised one."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.opening import Opened
from vrft_aug.data.prompts import rendering
from vrft_aug.data.rows.frame import frame_size
from vrft_aug.errors import InputError


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
        response = rendering.answer(self.prompt["template"], self.dataset["target"], target, self.think)
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
        prompt = rendering.render(self.prompt["template"], self.dataset, classes, knowledge)
        return [{"role": "user", "content": rendering.IMAGE_MARK + prompt}], {
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
