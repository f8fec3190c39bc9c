"""Composes rows: a sample becomes verl's reinforcement row, and this row becomes a supervised one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import Question, Sample
from vrft_aug.data.preparation.opening import Opened
from vrft_aug.data.pretext.asking import posed
from vrft_aug.data.prompts import rendering
from vrft_aug.data.rows.frame import frame_size
from vrft_aug.data.rows.schema import Message, Row, SftRow
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards.answer_text import MOST_BOXES
from vrft_aug.rewards.parsing import QUESTION
from vrft_aug.rewards.row import ExtraInfo, Tag

EXAMPLE = Question("<question>", ("<option>",), "")


@dataclass
class Composer:
    """Holds everything that goes into a row beside the sample. knowledge: one description per class, or nothing.

    dataset: as the prompt asks about it (pretext/asking.py).
    """

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

    def posed(self, sample: Sample, opened: Opened, split: str) -> tuple[Sample, Opened]:
        """The sample as the prompt asks about it; like the paper's test sets, a test image follows no training seed."""
        return posed(self.prompt, self.rule.test_seed if split == "test" else self.rule.seed, sample, opened)

    def rl(self, sample: Sample, opened: Opened, split: str, index: int) -> Row:
        """The row that verl's GRPO trainer reads. The image is encoded, the box is in original pixels.

        Raises InputError for a box that does not fit the image.
        """
        box, truth = self.truth(sample, opened.size)
        messages, text = self.asking(sample)
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

    def truth(self, sample: Sample, size: Sequence[int]) -> tuple[Box | tuple[()], str]:
        """The sample's one box, () without one, and the ground truth. Raises InputError for a box that does not fit."""
        if self.task == "detection":
            return (), json.dumps([[*map(float, box)] for box in checked_boxes(sample, size)])
        if box := sample.bounding_box() or ():
            check_box(sample, box, size)
        if self.task == QUESTION:
            return box, question_of(sample).answer
        one = self.task == "localization"
        return box, json.dumps([*map(float, box)]) if one else self.dataset.classes[sample.label]

    def sft(self, row: Row) -> SftRow:
        """The supervised row of an RL row: the same prompt and image, with the ground truth as the response."""
        confidence = self.taught_confidence(row["extra_info"]["source_id"]) if self.prompt.confidence else None
        target, finding = self.dataset.target, self.dataset.finding
        named = finding if self.task == "detection" and finding else target
        prompt = replace(self.prompt, template=self.prompt.template_for(self.dataset))
        response = rendering.answer(prompt, named, self.taught(row), confidence)
        return {
            "messages": [*row["prompt"], {"role": "assistant", "content": response}],
            "images": row["images"],
            "data_source": row["data_source"],
            "source_id": row["extra_info"]["source_id"],
        }

    def taught(self, row: Row) -> str:
        """The answer to learn: the ground truth, with boxes in the policy's frame."""
        info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
        sizes = info["image_size"], info["frame_size"]
        if self.task == "localization":
            return json.dumps(scale_box(info["box"], *sizes))
        if self.task == "detection":
            return json.dumps([scale_box(box, *sizes) for box in json.loads(truth)], separators=(",", ":"))
        return truth

    def taught_confidence(self, source_id: str) -> float:
        """One of 0.0, 0.1, ... 1.0, drawn by seed and image. A label does not say how sure a policy should be, and one
        that was taught to say always 1 says nothing else that a reward could choose from."""
        return int(generator(self.rule.seed, f"confidence {source_id}").integers(11)) / 10

    def asking(self, sample: Sample) -> tuple[list[Message], ExtraInfo]:
        """The messages, and the prompt with what it lists: the classes, or the options of a question."""
        if self.task != QUESTION:
            return self.text(self.order(sample.source_id, len(self.dataset.classes)))
        asked = question_of(sample)
        return self.text(self.order(sample.source_id, len(asked.options)), asked)

    def order(self, source_id: str, number: int) -> tuple[int, ...]:
        """The order in which this row's prompt lists its classes, of which there are `number`."""
        if self.prompt.class_order == "fixed":
            return tuple(range(number))
        return tuple(generator(self.rule.seed, source_id).permutation(number).tolist())

    def compose_text(self, order: tuple[int, ...], question: Question = EXAMPLE) -> tuple[list[Message], ExtraInfo]:
        """What depends on the class order and the question alone: the messages, and the prompt with its classes,
        knowledge, aliases. question: EXAMPLE shows the template of a data set of questions."""
        names = question.options if self.task == QUESTION else self.dataset.classes
        classes = [names[i] for i in order]
        knowledge = [self.knowledge[i] for i in order] if self.knowledge else []
        asks = (self.prompt.form, self.prompt.confidence)
        template = self.prompt.template_for(self.dataset)
        prompt = rendering.render(template, self.dataset, classes, knowledge, *asks, question.text)
        return [{"role": "user", "content": rendering.IMAGE_MARK + prompt}], {
            "prompt": prompt,
            "form": self.prompt.form,
            "confidence": self.prompt.confidence,
            "classes": classes,
            "knowledge": knowledge,
            "aliases": [self.dataset.aliases.get(name, []) for name in classes] if self.prompt.aliases else [],
        }


def question_of(sample: Sample) -> Question:
    """The sample's question. Raises InputError for a data set whose samples have none."""
    if sample.question is None:
        raise InputError(f"{where(sample)}: no question; a data set with the task question needs a loader that asks")
    return sample.question


def tags(values: Mapping[str, str]) -> list[Tag]:
    """Named values in their order, in the form of a row."""
    return [{"name": name, "value": value} for name, value in values.items()]


def checked_boxes(sample: Sample, size: Sequence[int]) -> list[Box]:
    """The box of each finding. Raises InputError for a box that does not fit, and for more than MOST_BOXES."""
    boxes = sample.all_boxes()
    if len(boxes) > MOST_BOXES:
        raise InputError(f"{where(sample)}: {len(boxes)} boxes, but an answer has at most {MOST_BOXES}; join some, or "
                         "leave the image out")
    for box in boxes:
        check_box(sample, box, size)
    return boxes


def check_box(sample: Sample, box: Box, size: Sequence[int]) -> None:
    """Raise InputError unless the box lies in the image and has an area."""
    if not (0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1]):
        raise InputError(f"{where(sample)}: box {list(box)} does not fit the image of {size[0]} x {size[1]} pixels; "
                         "correct the box or the mask (x1, y1, x2, y2 in original pixels)")


def where(sample: Sample) -> str:
    """The sample's id, after its place where that is known."""
    return f"{sample.place}: {sample.source_id}" if sample.place else sample.source_id


def scale_box(box: Sequence[float], image: Sequence[int], frame: Sequence[int]) -> list[int]:
    """A box in original pixels, converted to the policy's frame and rounded to whole units."""
    return [round(side * new / old) for side, new, old in zip(box, [*frame] * 2, [*image] * 2, strict=True)]
