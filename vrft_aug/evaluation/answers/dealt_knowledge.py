"""Asks again with the wrong knowledge, or with none: a policy that reads its prompt must then answer differently.

The prompts are made anew by the template, from the classes and descriptions that each row carries.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from vrft_aug.data.prompts.rendering import IMAGE_MARK, divided, render
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Prompt

Texts = tuple[str, ...]
Change = Callable[[Texts, Texts], Sequence[str]]  # classes and their descriptions, in a prompt's order -> descriptions


def obstacle(rows: pd.DataFrame, dataset: Dataset, prompt: Prompt, wrong: bool = False) -> str:
    """Why the rows' prompts cannot have other knowledge; "" if they can. wrong: it is to be dealt to wrong classes."""
    if not prompt.knowledge or not len(rows["extra_info"].iloc[0]["knowledge"]):
        return "the prompt has no knowledge"
    if _contents(asked_again(rows, dataset, prompt, lambda classes, knowledge: knowledge)) != _contents(rows):
        return "the rows have other prompts than their template and data set give now; prepare again"
    if wrong and any(len(set(info["knowledge"])) < max(2, len(info["knowledge"])) for info in rows["extra_info"]):
        return "every class needs a description that no other class has, and two classes are the least"
    return ""


def wrong_knowledge(rows: pd.DataFrame, dataset: Dataset, prompt: Prompt, seed: int) -> pd.DataFrame:
    """The rows with each class beside the description of another one, which is the same one in every row."""
    return asked_again(rows, dataset, prompt, lambda classes, knowledge: dealt(classes, knowledge, seed))


def no_knowledge(rows: pd.DataFrame, dataset: Dataset, prompt: Prompt) -> pd.DataFrame:
    """The rows with a prompt that names the classes in the same order and describes none."""
    return asked_again(rows, dataset, prompt, lambda classes, knowledge: [])


def dealt(classes: Texts, knowledge: Texts, seed: int) -> list[str]:
    """The descriptions, each beside another class than its own.

    The classes form one random circle (Sattolo 1986), and each gets the description of the next. The circle depends on
    the seed and the names, not on their order, so prompts with another order deal alike.
    """
    rng, circle = generator(seed, "wrong knowledge"), sorted(classes)
    own = dict(zip(classes, knowledge, strict=True))
    givers = circle.copy()
    for last in range(len(givers) - 1, 0, -1):
        other = int(rng.integers(last))
        givers[last], givers[other] = givers[other], givers[last]
    giver = dict(zip(circle, givers, strict=True))
    return [own[giver[name]] for name in classes]


def asked_again(rows: pd.DataFrame, dataset: Dataset, prompt: Prompt, change: Change) -> pd.DataFrame:
    """The rows with their prompts made anew with other descriptions. Everything else in a row stays as it is."""

    @lru_cache(maxsize=1024)
    def text(marks: str, classes: Texts, knowledge: Texts) -> str:
        asks = (prompt.form, prompt.confidence, marks.count(IMAGE_MARK))
        return marks + render(prompt.template, dataset, classes, change(classes, knowledge), *asks)

    asked = zip(_contents(rows), rows["extra_info"], strict=True)
    texts = [text(divided(one)[0], tuple(info["classes"]), tuple(info["knowledge"])) for one, info in asked]
    messages: list[Any] = [[{"role": "user", "content": one}] for one in texts]
    return rows.assign(prompt=messages)


def _contents(rows: pd.DataFrame) -> list[str]:
    return [prompt[0]["content"] for prompt in rows["prompt"]]
