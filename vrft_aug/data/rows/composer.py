"""Composes rows: a sample becomes verl's reinforcement row, and this row becomes a supervised one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

from vrft_aug.data.datasets.sample import Question, Sample
from vrft_aug.data.preparation.opening import Opened
from vrft_aug.data.pretext.asking import posed
from vrft_aug.data.prompts import rendering
from vrft_aug.data.rows.box_truth import every_box, one_box, scale_box, where
from vrft_aug.data.rows.frame import Size, frame_size
from vrft_aug.data.rows.schema import Message, Row, SftRow
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Policy, PreparationRule, Prompt
from vrft_aug.errors import InputError
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

    @property
    def record(self) -> bool:
        """Whether rows say how their images were read (`dataset.loader.record`)."""
        return bool(self.dataset.loader.get("record"))

    def posed(self, sample: Sample, opened: Opened, split: str) -> tuple[Sample, Opened]:
        """The sample as the prompt asks about it; like the paper's test sets, a test image follows no training seed."""
        return posed(self.prompt, self.rule.test_seed if split == "test" else self.rule.seed, sample, opened)

    def rl(self, sample: Sample, opened: Opened, split: str, index: int, more: Sequence[Opened] = ()) -> Row:
        """The row that verl's GRPO trainer reads. The images are encoded, the box is in original pixels.

        more: the sample's other images. Raises InputError for a box that does not fit its image, and for a sample
        without any of the images that the prompt shows.
        """
        shown = self.shown(sample, 1 + len(more))
        images = [one for at, one in enumerate((opened, *more)) if at in shown]
        sizes = [one.size for one in images]
        box, truth = self.truth(sample, shown, sizes)
        messages, text = self.asking(sample, shown)
        return {
            "data_source": self.dataset.name,
            "prompt": messages,
            "images": [{"bytes": one.encoded, "path": None} for one in images],
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
                "image_size": [*chain.from_iterable(sizes)],
                "frame_size": [*chain.from_iterable(frame_size(size, self.policy) for size in sizes)],
                "box": box,
                "findings": sample.findings,
                "slices": tags(sample.slices),
                "readers": tags(sample.readers),
                **self.readings(images),
            },
        }

    def readings(self, images: Sequence[Opened]) -> ExtraInfo:
        """How the row's images were read, one entry per image, where the data set asks for it."""
        return {"readings": [one.reading and one.reading._asdict() for one in images]} if self.record else {}

    def shown(self, sample: Sample, images: int) -> tuple[int, ...]:
        """Which of a sample's images the prompt shows, from 0 on. Raises InputError if it has none of them."""
        if self.prompt.pretext:
            return (0,)
        if images > self.dataset.images:
            raise InputError(f"{where(sample)}: {images} images, but dataset.images={self.dataset.images}; raise it, "
                             "or leave images out")  # fmt: skip
        shown = tuple(one - 1 for one in self.prompt.shown or range(1, images + 1) if one <= images)
        if not shown:
            raise InputError(f"{where(sample)}: {images} images, and prompt={self.prompt.name} shows others; leave the "
                             "line out, or choose another prompt.shown")  # fmt: skip
        return shown

    def truth(self, sample: Sample, shown: Sequence[int], sizes: Sequence[Size]) -> tuple[Sequence[float], str]:
        """The sample's one box, () without one, and the ground truth. Raises InputError for a box that does not fit.

        shown: which of its images the row has; sizes: theirs.
        """
        if self.task == "detection":
            return (), json.dumps([stated(box) for box in every_box(sample, shown, sizes)])
        box = one_box(sample, shown, sizes)
        if self.task == QUESTION:
            return box, question_of(sample).answer
        if self.task != "localization":
            return box, self.dataset.classes[sample.label]
        if not box:
            raise InputError(f"{where(sample)}: its box is in an image that prompt={self.prompt.name} does not show; "
                             "choose another prompt.shown")  # fmt: skip
        return box, json.dumps(stated(box))

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

    def asking(self, sample: Sample, shown: Sequence[int]) -> tuple[list[Message], ExtraInfo]:
        """The messages, and the prompt with what it lists: the classes, or the options of a question."""
        if self.task != QUESTION:
            return self.text(self.order(sample.source_id, len(self.dataset.classes)), shown)
        asked = question_of(sample)
        return self.text(self.order(sample.source_id, len(asked.options)), shown, asked)

    def order(self, source_id: str, number: int) -> tuple[int, ...]:
        """The order in which this row's prompt lists its classes, of which there are `number`."""
        if self.prompt.class_order == "fixed":
            return tuple(range(number))
        return tuple(generator(self.rule.seed, source_id).permutation(number).tolist())

    def compose_text(
        self, order: tuple[int, ...], shown: Sequence[int] = (0,), question: Question = EXAMPLE
    ) -> tuple[list[Message], ExtraInfo]:
        """What depends on class order, images and question alone: the messages, and the prompt with its classes,
        knowledge, aliases. shown: which images, from 0 on. question: EXAMPLE shows the template of such a data set."""
        names = question.options if self.task == QUESTION else self.dataset.classes
        classes = [names[i] for i in order]
        knowledge = [self.knowledge[i] for i in order] if self.knowledge else []
        asks = (self.prompt.form, self.prompt.confidence, len(shown), question.text)
        template = self.prompt.template_for(self.dataset)
        prompt = rendering.render(template, self.dataset, classes, knowledge, *asks)
        return [{"role": "user", "content": rendering.marks(self.dataset, shown) + prompt}], {
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


def stated(box: Sequence[float]) -> list[float]:
    """A box as a ground truth writes it: floats; the number of its image, where there are several, as it is."""
    return [*box[:-4], *map(float, box[-4:])]
