"""Composes rows: a sample becomes verl's reinforcement row, and this row becomes a supervised one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.opening import Opened
from vrft_aug.data.prompts import rendering
from vrft_aug.data.rows.frame import frame_size
from vrft_aug.data.rows.schema import Message, Row, SftRow
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards.row import ExtraInfo, Tag


@dataclass
class Composer:
    """Holds everything that goes into a row beside the sample. knowledge: one description per class, or nothing."""

    dataset: Dataset
    prompt: Prompt
    policy: Policy
    rule: PreparationRule
    knowledge: Sequence[str]

    def __post_init__(self) -> None:
        self.text = lru_cache(maxsize=1024)(self.compose_text)  # rows with the same class order share their text

    @property
    def task(self) -> str:
        return self.prompt.task or self.dataset.task

    def rl(self, sample: Sample, opened: Opened, split: str, index: int) -> Row:
        """The row that verl's GRPO trainer reads. The image is encoded, the box is in original pixels.

        Raises InputError for a box that does not fit the image.
        """
        box = checked_box(sample, opened.size)
        messages, text = self.text(self.order(sample.source_id))
        truth = json.dumps([*map(float, box)]) if self.task == "localization" else self.dataset.classes[sample.label]
        return {
            "data_source": self.dataset.name,
            "prompt": messages,
            "images": ({"bytes": opened.encoded, "path": None},),
            "ability": self.task,
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": {
                **text,
                "task": self.task,
                "split": split,
                "index": index,
                "source_id": sample.source_id,
                "group_id": sample.group_id,
                "label": sample.label,
                "image_size": opened.size,
                "frame_size": frame_size(opened.size, self.policy),
                "box": box,
                "findings": sample.findings,
                "slices": tags(sample.slices),
                "readers": tags(sample.readers),
            },
        }

    def sft(self, row: Row) -> SftRow:
        """The supervised row of an RL row: the same prompt and image, with the ground truth as the response."""
        confidence = self.taught_confidence(row["extra_info"]["source_id"]) if self.prompt.confidence else None
        response = rendering.answer(self.prompt, self.dataset.target, self.taught(row), confidence)
        return {
            "messages": [*row["prompt"], {"role": "assistant", "content": response}],
            "images": row["images"],
            "data_source": row["data_source"],
            "source_id": row["extra_info"]["source_id"],
        }

    def taught(self, row: Row) -> str:
        """The answer to learn: the ground truth, with a box in the policy's frame."""
        info = row["extra_info"]
        if self.task == "localization":
            return json.dumps(scale_box(info["box"], info["image_size"], info["frame_size"]))
        return row["reward_model"]["ground_truth"]

    def taught_confidence(self, source_id: str) -> float:
        """One of 0.0, 0.1, ... 1.0, drawn by seed and image. A label does not say how sure a policy should be, and one
        that was taught to say always 1 says nothing else that a reward could choose from."""
        return int(generator(self.rule.seed, f"confidence {source_id}").integers(11)) / 10

    def order(self, source_id: str) -> tuple[int, ...]:
        """The order in which this row's prompt lists the classes."""
        number = len(self.dataset.classes)
        if self.prompt.class_order == "fixed":
            return tuple(range(number))
        return tuple(generator(self.rule.seed, source_id).permutation(number).tolist())

    def compose_text(self, order: tuple[int, ...]) -> tuple[list[Message], ExtraInfo]:
        """What depends on the class order alone: the messages, and the prompt with its classes, knowledge, aliases."""
        classes = [self.dataset.classes[i] for i in order]
        knowledge = [self.knowledge[i] for i in order] if self.knowledge else []
        asks = (self.prompt.form, self.prompt.confidence)
        prompt = rendering.render(self.prompt.template, self.dataset, classes, knowledge, *asks)
        return [{"role": "user", "content": rendering.IMAGE_MARK + prompt}], {
            "prompt": prompt,
            "form": self.prompt.form,
            "confidence": self.prompt.confidence,
            "classes": classes,
            "knowledge": knowledge,
            "aliases": [self.dataset.aliases.get(name, []) for name in classes] if self.prompt.aliases else [],
        }


def tags(values: Mapping[str, str]) -> list[Tag]:
    """Named values in their order, in the form of a row."""
    return [{"name": name, "value": value} for name, value in values.items()]


def checked_box(sample: Sample, size: Sequence[int]) -> Box | tuple[()]:
    """The sample's box, () if it has none. Raises InputError unless the box lies in the image and has an area."""
    box = sample.bounding_box()
    if box and not (0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1]):
        where = f"{sample.place}: {sample.source_id}" if sample.place else sample.source_id
        raise InputError(f"{where}: box {list(box)} does not fit the image of {size[0]} x {size[1]} pixels; "
                         "correct the box or the mask (x1, y1, x2, y2 in original pixels)")
    return box or ()


def scale_box(box: Sequence[float], image: Sequence[int], frame: Sequence[int]) -> list[int]:
    """A box in original pixels, converted to the policy's frame and rounded to whole units."""
    return [round(side * new / old) for side, new, old in zip(box, [*frame] * 2, [*image] * 2, strict=True)]
