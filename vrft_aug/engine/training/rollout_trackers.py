"""Shows kept prompts, images and answers of a step in TensorBoard, W&B and other trackers that `trainer.logger` names.

verl starts the trackers and logs its numbers to them (verl/utils/tracking.py). Each function here adds the groups of
one split and step to one of them. What the policy wrote is shown as text: TensorBoard renders Markdown, so there it is
escaped; the tables of the others show a cell as it is.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from PIL import Image

from vrft_aug.engine.run.rollouts_file import Answer, Group

logger = logging.getLogger(__name__)

COLUMNS = ("prompt", "image", "text", "truth", "answer", "prediction", "score", "rewards", "advantage", "kl")
STEPS_PER_TABLE = 50  # MLflow reads and writes a table anew for each step, and lists all tables in one short tag


@dataclass(frozen=True)
class Shown:
    """A group as it is shown. name: "row 12" of a followed prompt, so that it has its own slider; else "mixed 1"."""

    name: str
    group: Group
    image: Image.Image

    @classmethod
    def of(cls, groups: Sequence[Group], image: Callable[[Group], Image.Image]) -> "list[Shown]":
        number = count(1)
        names = (f"row {group['index']}" if group["followed"] else f"mixed {next(number)}" for group in groups)
        return [cls(name, group, image(group)) for name, group in zip(names, groups, strict=True)]


Send = Callable[[Any, str, int, Sequence[Shown]], None]  # what verl keeps of the tracker, split, step, groups


def to_tensorboard(tracker: Any, split: str, step: int, groups: Sequence[Shown]) -> None:
    """A text and an image per group. tracker: verl's adapter, with a SummaryWriter."""
    for one in groups:
        tag = f"rollouts/{split}/{one.name}"
        tracker.writer.add_text(tag, markdown(one.group), step)
        tracker.writer.add_image(tag, np.asarray(one.image.convert("RGB")), step, dataformats="HWC")
    tracker.writer.flush()  # seen now, and not after two minutes


def to_wandb(tracker: Any, split: str, step: int, groups: Sequence[Shown]) -> None:
    """A table, one row per answer. tracker: the module wandb, or trackio, which has the same functions."""
    table = tracker.Table(columns=list(COLUMNS), data=list(rows(groups, tracker.Image)))
    tracker.log({f"rollouts/{split}": table}, step=step)


def to_trackio(tracker: Any, split: str, step: int, groups: Sequence[Shown]) -> None:
    to_wandb(tracker.trackio, split, step, groups)


def to_mlflow(_: Any, split: str, step: int, groups: Sequence[Shown]) -> None:
    """A table per STEPS_PER_TABLE steps, and an image with a slider per group, in the run that verl has started.

    An image in a cell would be stored twice for each answer.
    """
    import mlflow

    table = [(step, *row) for row in rows(groups)]
    first = step // STEPS_PER_TABLE * STEPS_PER_TABLE
    columns = dict(zip(("step", *COLUMNS), map(list, zip(*table, strict=True)), strict=True))
    mlflow.log_table(columns, f"rollouts/{split}.{first:05}.json")
    for one in groups:
        mlflow.log_image(one.image, key=f"rollouts/{split}/{one.name}", step=step)


def to_swanlab(tracker: Any, split: str, step: int, groups: Sequence[Shown]) -> None:
    """A table of texts, and the images beside it. tracker: the module swanlab."""
    table = [[plain(cell) if isinstance(cell, str) else cell for cell in row] for row in rows(groups)]
    images = [tracker.Image(one.image, caption=one.name) for one in groups]
    found = {f"rollouts/{split}": tracker.echarts.Table().add(list(COLUMNS), table), f"rollouts/{split}/images": images}
    tracker.log(found, step=step)


SENDERS: Mapping[str, Send] = {"tensorboard": to_tensorboard, "wandb": to_wandb, "trackio": to_trackio,
                               "mlflow": to_mlflow, "swanlab": to_swanlab}  # fmt: skip


@dataclass
class RolloutTrackers:
    """Sends groups to the trackers of one training. failed: what a line in the log has told of."""

    failed: set[str] = field(default_factory=set)

    def send(self, trackers: Mapping[str, Any], split: str, step: int, groups: Sequence[Shown]) -> None:
        """trackers: name -> what verl keeps of it. One that fails gets no more, and the training continues."""
        for name in [name for name in SENDERS if groups and name in trackers and name not in self.failed]:
            try:
                SENDERS[name](trackers[name], split, step, groups)
            except Exception as error:  # a tracker may raise anything: no network, a full disk, another version
                self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        """Tell it, once. The error's own text may name an address with a password."""
        if name not in self.failed:
            logger.warning(f"{name}: shows no rollouts ({type(error).__name__}); the run's folder has them")
        self.failed.add(name)


def rows(groups: Sequence[Shown], image: Callable[[Image.Image], Any] | None = None) -> Iterator[tuple]:
    """A row of COLUMNS per answer. image: makes of a group's image what the tracker shows; None: no image, its name."""
    for one in groups:
        shown = image(one.image) if image else one.name  # once per group, since a tracker stores each anew
        group = one.group
        for answer in group["answers"]:
            yield (one.name, shown, group["text"], group["truth"], answer["response"], answer["prediction"],
                   answer["score"], rewards(answer), answer["advantage"], answer["kl"])  # fmt: skip


def rewards(answer: Answer) -> str:
    """What each reward adds to the score: "accuracy 0.9, format 0.1"."""
    return ", ".join(f"{part['name']} {part['share']:.3g}" for part in answer["parts"])


def markdown(group: Group) -> str:
    """The group for TensorBoard: prompt and truth, and a table of the answers."""
    lines = [f"**Row {group['index']}** ({escaped(group['source_id'])}), truth: **{escaped(group['truth'])}**", "",
             escaped(group["text"]), "", "| score | rewards | advantage | KL | prediction | answer |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for one in group["answers"]:
        numbers = ["" if one[key] is None else f"{one[key]:.3g}" for key in ("advantage", "kl")]
        cells = [f"{one['score']:.3g}", escaped(rewards(one)), *numbers, escaped(one["prediction"]),
                 escaped(one["response"])]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """`text` for Markdown and HTML, which show it as it is: all but letters, digits and spaces as numbers."""
    return "<br>".join(re.sub(r"[^\w ]|_", lambda sign: f"&#{ord(sign[0])};", line) for line in text.split("\n"))


def plain(text: str) -> str:
    """`text` for SwanLab's table, without the mark that the package pyecharts takes for JavaScript."""
    return text.replace("--x_x--", "--x x--")
