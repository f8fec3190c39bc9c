"""Trains the tiny policy: first to read, while linear probes teach the eyes; then to see, reason and read together.

Two processes of one thread each average their gradients, which is faster on two cores than two threads in one process.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, Qwen2Tokenizer

from vrft_aug.data.phantoms import drawing
from vrft_aug.data.phantoms.findings import SEEN
from vrft_aug.data.phantoms.grades import Graded
from vrft_aug.data.phantoms.tasks import MOST
from vrft_aug.tiny import lessons
from vrft_aug.tiny.architectures import QWEN2_5_VL, Architecture
from vrft_aug.tiny.encoding import Batch, Encoder, copying
from vrft_aug.tiny.eyes import Eyes, Shown
from vrft_aug.tiny.model import IMAGE_TOKENS

COPYING = 0.08  # share of the reading rows that repeat a random sequence

Report = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """Length and pace of the training; the numbers are per process.

    reading, seeing: steps of the two parts. rows: texts per step. images: per step, for the probes.
    """

    reading: int = 300
    seeing: int = 900
    rows: int = 24
    images: int = 48
    rate: float = 2e-3
    short: int = 208
    long: int = 320
    seed: int = 0


class Trainer:
    """One process of the training. `report` receives one line at a time, from the first process alone."""

    model: Any  # transformers' PreTrainedModel, whose parts mypy does not know

    def __init__(self, model: PreTrainedModel, tokenizer: Qwen2Tokenizer, course: Course, report: Report,
                 architecture: Architecture = QWEN2_5_VL) -> None:  # fmt: skip
        self.model, self.tokenizer, self.course, self.report = model, tokenizer, course, report
        self.architecture = architecture
        self.rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        self.rng = random.Random(1000 * course.seed + self.rank)
        self.numbers = np.random.default_rng((course.seed, self.rank))
        torch.manual_seed(course.seed)
        self.eyes = Eyes()
        self.parameters = [*model.parameters(), *self.eyes.parameters()]
        big, small = ([one for one in self.parameters if (one.ndim > 1) == large] for large in (True, False))
        groups = [{"params": big, "weight_decay": 0.02}, {"params": small, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=course.rate, betas=(0.9, 0.98), fused=True)
        self.see = torch.compile(architecture.see, dynamic=False)
        self.read = torch.compile(architecture.read, dynamic=False)
        self.vision_rotary = architecture.vision_rotary(model)
        self.image_at = len(tokenizer(architecture.start + "<|vision_start|>").input_ids)
        self.rotaries = {(length, at): architecture.text_rotary(model, length, at)
                         for length in (course.short, course.long) for at in (None, self.image_at)}  # fmt: skip
        self.encoders = {length: Encoder(tokenizer, length) for length in (course.short, course.long)}
        self.history: dict[str, list[float]] = defaultdict(list)
        self.start = time.monotonic()

    def run(self) -> None:
        self._part(self.course.reading, self._reading_step)
        self._part(self.course.seeing, self._seeing_step)

    def _part(self, steps: int, step: Callable[[int], list[Callable[[], Tensor]]]) -> None:
        for number in range(steps):
            pace = min(1, (number + 1) / 40) * (0.05 + 0.95 * min(1, 2 * (1 - number / steps)))
            for group in self.optimiser.param_groups:
                group["lr"] = self.course.rate * pace
            self._update(step(number))
            if (number + 1) % 50 == 0:
                self._tell(f"{step.__name__[1:-5]} {number + 1}/{steps}")

    def _update(self, losses: list[Callable[[], Tensor]]) -> None:
        self.optimiser.zero_grad()
        for loss in losses:  # one after the other, so that one graph is in memory at a time
            loss().backward()
        self._average()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.architecture.hold_constant(self.model)

    def _average(self) -> None:
        """Average the gradients over the processes."""
        if not torch.distributed.is_initialized():
            return
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in self.parameters]
        flat = torch.cat([one.flatten() for one in gradients])
        torch.distributed.all_reduce(flat)
        flat /= torch.distributed.get_world_size()
        for one, part in zip(self.parameters, flat.split([one.numel() for one in self.parameters]), strict=True):
            one.grad = part.view_as(one)

    def _reading_step(self, number: int) -> list[Callable[[], Tensor]]:
        return [lambda: self._reading_loss(number % 2), self._looking_loss]

    def _seeing_step(self, number: int) -> list[Callable[[], Tensor]]:
        return [lambda: self._reading_loss((number + 1) % 2), lambda: self._seeing_loss(number % 2)]

    def _reading_loss(self, long: int) -> Tensor:
        length = self.course.long if long else self.course.short
        rows = self.course.rows * self.course.short // length
        copies = [copying(self.rng, self.tokenizer) for _ in range(rows) if self.rng.random() < COPYING]
        texts = [lessons.reading_lesson(self.rng, length, self.architecture.start) for _ in range(rows - len(copies))]
        batch = self.encoders[length].batch(texts, copies)
        with fast():
            embedded = self.model.model.language_model.embed_tokens(batch.tokens)
            hidden = self.read(self.model, embedded, self.rotaries[length, None], (), 0)
        return self._text_loss(f"read{long}", batch, hidden)

    def _looking_loss(self) -> Tensor:
        """Of the probes alone, on findings and grades."""
        shown = [self.rng.choice(SEEN) if self.rng.random() < 0.7 else
                 Graded(*(self.rng.randrange(n) for n in (2, 5, 2, 4))) for _ in range(self.course.images)]  # fmt: skip
        drawn = self._draw(shown)
        with fast():
            tokens, *_ = self.see(self.model, _grey(drawn), self.vision_rotary)
        return self._eyes_loss(tokens, shown, drawn)

    def _seeing_loss(self, long: int) -> Tensor:
        length, rows = self.course.long if long else self.course.short, self.course.rows
        lesson = self._seeing_rows(length, MOST if long else 5)
        more = [self.rng.choice(SEEN) for _ in range(self.course.images - rows)]
        shown, drawn = [*lesson.shown, *more], [*lesson.drawn, *self._draw(more)]
        batch = self.encoders[length].batch(lesson.texts)
        with fast():
            tokens, *deep = self.see(self.model, _grey(drawn), self.vision_rotary)
            words = self.model.model.language_model.embed_tokens(batch.tokens)
            end = self.image_at + IMAGE_TOKENS
            embedded = torch.cat([words[:, : self.image_at], tokens[:rows].to(words.dtype), words[:, end:]], 1)
            rotary = self.rotaries[length, self.image_at]
            hidden = self.read(self.model, embedded, rotary, [one[:rows] for one in deep], self.image_at)
        return self._text_loss(f"see{long}", batch, hidden) + self._eyes_loss(tokens, shown, drawn)

    def _seeing_rows(self, length: int, most: int) -> "_Rows":
        """Seeing lessons that fit the length, with their images."""
        found = _Rows([], [], [])
        while len(found.texts) < self.course.rows:
            text, shown = lessons.seeing_lesson(self.rng, most, self.architecture.start)
            picture = drawing.draw(self.numbers, shown)
            if not text.queries:
                if picture.box is None:
                    continue
                lessons.answer_box(text, shown, picture.box, self.architecture.frame)
            if self.encoders[length].fits(text):
                found.add(text, shown, picture)
        return found

    def _draw(self, shown: Sequence[Shown]) -> list[drawing.Drawn]:
        return [drawing.draw(self.numbers, one) for one in shown]

    def _eyes_loss(self, tokens: Tensor, shown: Sequence[Shown], drawn: list[drawing.Drawn]) -> Tensor:
        boxes = torch.tensor([one.box or [float("nan")] * 4 for one in drawn])
        loss, accuracies = self.eyes(tokens, shown, boxes)
        for name, accuracy in accuracies.items():
            self.history[name].append(accuracy)
        return 0.25 * loss

    def _text_loss(self, name: str, batch: Batch, hidden: Tensor) -> Tensor:
        learnt = batch.weights[:, 1:] > 0
        weight = batch.weights[:, 1:][learnt]
        with fast():
            logits = hidden[:, :-1][learnt] @ self.model.model.language_model.embed_tokens.weight.T
        target = batch.tokens[:, 1:][learnt]
        each = functional.cross_entropy(logits.float(), target, reduction="none")
        right = batch.weights == 0  # what is given counts as right
        right[:, 1:][learnt] = logits.argmax(-1) == target
        if batch.firsts:
            row, token = torch.tensor(batch.firsts).T
            self.history[f"{name} name"].append(right[row, token].float().mean().item())
        if name.startswith("see") and batch.told:
            thoughts = [right[row, first:last].all().item() for row, first, last in batch.told]
            self.history[f"{name} thought"].append(float(np.mean(thoughts)))
        loss = (each * weight).sum() / weight.sum()
        self.history[f"{name} loss"].append(loss.item())
        return loss

    def _tell(self, where: str) -> None:
        means = ", ".join(f"{name} {np.mean(values):.2f}" for name, values in sorted(self.history.items()))
        self.history.clear()
        if not self.rank:
            self.report(f"tiny policy: {time.monotonic() - self.start:.0f} s, {where}: {means}")


def fast() -> torch.autocast:
    """Computes in bfloat16 where the processor multiplies it; elsewhere it is emulated, and far slower than float32."""
    can = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=can.get("avx512_bf16") or can.get("amx_bf16") or False)


def _grey(drawn: list[drawing.Drawn]) -> Tensor:
    return torch.from_numpy(np.stack([one.image[:, :, 0] for one in drawn])).float()


@dataclass
class _Rows:
    """Texts of seeing lessons, what their images show, and the images."""

    texts: list[lessons.Text]
    shown: list[Shown]
    drawn: list[drawing.Drawn]

    def add(self, text: lessons.Text, shown: Shown, drawn: drawing.Drawn) -> None:
        self.texts.append(text)
        self.shown.append(shown)
        self.drawn.append(drawn)
