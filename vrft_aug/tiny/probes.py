"""Asks the tiny policy what it can do: describe an image, find the name that fits a description, write a valid answer.

All names and combinations are held out from its training. The prompts are those of the product.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from vrft_aug.data.phantoms import names
from vrft_aug.data.phantoms.drawing import draw
from vrft_aug.data.phantoms.findings import ALL, HELD_OUT, VALUES, Finding, words
from vrft_aug.data.prompts import rendering
from vrft_aug.data.settings import Dataset
from vrft_aug.tiny import lessons, scenes
from vrft_aug.tiny.scenes import Scene

Answer = Callable[[Sequence[str], Sequence[Image.Image] | None], list[str]]  # whole texts, images -> responses
FORM = re.compile(r"\s*<think>(.*?)</think>\s*\\boxed\{([^{}]*)\}\s*", re.DOTALL)
NEAR = 0.4  # as in the lessons: share of the other classes that resemble the right one
BANK_ORDERS = 3  # times that each entry of the bank is asked for, with another order of the classes


@dataclass(frozen=True)
class Score:
    """Shares of the answers: thought and name right, a listed name in the box, a valid form."""

    thought: float
    name: float
    listed: float
    form: float

    def __str__(self) -> str:
        return ", ".join(f"{key} {value:.3f}" for key, value in asdict(self).items())


def look(
    answer: Answer, classes: int, known: bool, number: int, seed: int = 0, start: str = lessons.START
) -> Score:
    """Score on `number` images of held-out diseases. known: the prompt has descriptions. start: of a conversation."""
    rng, numbers = random.Random(seed), np.random.default_rng((seed, classes))
    asked = [held_out_scene(rng, numbers, classes) for _ in range(number)]
    prompts = [start + lessons.MARK + classify(one, known) + lessons.TURN for one in asked]
    images = [Image.fromarray(draw(numbers, one.shown).image) for one in asked if one.shown]
    return _score(asked, answer(prompts, images))


def held_out_scene(rng: random.Random, numbers: np.random.Generator, classes: int) -> Scene:
    first = rng.choice(HELD_OUT)
    found = [first]
    while len(found) < classes:
        other = list(first)
        for at in rng.sample(range(4), rng.choice((1, 1, 2))):
            other[at] = rng.randrange(len(VALUES[at]))
        one = Finding(*other) if rng.random() < NEAR else rng.choice(ALL)
        if one not in found:
            found.append(one)
    rng.shuffle(found)
    texts = [words(one) for one in found]
    return Scene(names.draw_names(numbers, classes, held_out=True), texts, texts.__getitem__, found.index(first), first)


def read_bank(answer: Answer, seed: int = 0, start: str = lessons.START) -> float:
    """Share of the bank's entries whose name the policy writes after a thought that is the entry's description.

    There is no image; the classes are all those of the entry's data set, in BANK_ORDERS random orders.
    """
    rng, prompts, wanted = random.Random(seed), [], []
    for classes in scenes.bank():
        for _ in range(BANK_ORDERS):
            order = rng.sample(list(classes), len(classes))
            scene = Scene(order, [classes[name] for name in order], str, 0)
            prompt = start + classify(scene, True) + lessons.TURN
            prompts += [f"{prompt}<think> {classes[name]}, which fits" for name in classes]
            wanted += list(classes)
    return float(np.mean([name == boxed(text) for name, text in zip(wanted, answer(prompts, None), strict=True)]))


def classify(scene: Scene, known: bool) -> str:
    data = Dataset(name="probe", title="", modality="synthetic radiograph", organ="phantom", target="", loader={},
                   task="classification", classes=list(scene.names))  # fmt: skip
    return rendering.render("classify", data, list(scene.names), list(scene.descriptions) if known else [])


def boxed(text: str) -> str:
    found = re.search(r"\\boxed\{([^{}]*)\}", text)
    return found[1] if found else ""


def _score(asked: Sequence[Scene], responses: Sequence[str]) -> Score:
    found = [FORM.fullmatch(text) for text in responses]
    pairs = [(scene, match) for scene, match in zip(asked, found, strict=True) if match]
    number = len(asked)
    return Score(
        thought=sum(scene.said(scene.answer) == match[1].partition(",")[0].strip() for scene, match in pairs) / number,
        name=sum(scene.names[scene.answer] == match[2] for scene, match in pairs) / number,
        listed=sum(match[2] in scene.names for scene, match in pairs) / number,
        form=len(pairs) / number,
    )
