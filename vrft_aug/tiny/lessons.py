"""Writes the lessons of the tiny policy: texts with the tokens to learn.

A lesson is a conversation in the form that the policy meets later. In a reading lesson there is no image: classes
with descriptions are listed, a thought is given, and the name that fits it is to be written, several times per text. In
a seeing lesson the policy must also write the thought, from an image: "two dark rings in the upper left, which fits
Brinsol".
"""

import random
import re
from dataclasses import dataclass, field

from vrft_aug.data.phantoms.drawing import SIDE
from vrft_aug.data.phantoms.findings import ATTRIBUTES, SHAPES, VALUES, Finding, words
from vrft_aug.data.phantoms.grades import EXTENTS, Graded, grade_words
from vrft_aug.data.phantoms.tasks import MOST
from vrft_aug.data.prompts import rendering
from vrft_aug.data.settings import Dataset
from vrft_aug.tiny import scenes
from vrft_aug.tiny.model import IMAGE_TOKENS
from vrft_aug.tiny.scenes import Scene

START = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
MARK = "<|vision_start|><|image_pad|><|vision_end|>"  # of an image, before the processor repeats the placeholder
IMAGE = MARK.replace("<|image_pad|>", "<|image_pad|>" * IMAGE_TOKENS)
TURN = "<|im_end|>\n<|im_start|>assistant\n"
THOUGHT, NAME, FIRST, UNKNOWN, REST = 1.0, 1.5, 4.0, 0.7, 1.0  # weights of the tokens to learn
SEEN_WORDS = {*(word for values in VALUES for name in values for word in name.split()), *EXTENTS, "no"}
SINGULAR = re.compile(rf"({'|'.join(SHAPES)})e?s$")
KNOWN_SHARE = 0.75  # of the prompts with descriptions, in the reading lessons
SEEN_KNOWN_SHARE = 0.65  # and in the seeing lessons
MISREAD_SHARE = 0.5  # of the thoughts with names alone
WHOLE_SHARE = 0.3  # of the reading texts that begin with a whole prompt
GRADE_SHARE, BOX_SHARE = 0.15, 0.12  # of the seeing lessons


@dataclass
class Text:
    """A text that grows piece by piece, with the weight of each piece in the loss.

    queries: (start and end of the thought, start of the name, whether descriptions are listed) of each response; in
    characters.
    """

    text: str = ""
    pieces: list[tuple[int, float]] = field(default_factory=list)  # (end, weight)
    queries: list[tuple[int, int, int, bool]] = field(default_factory=list)

    def add(self, piece: str, weight: float = 0.0) -> None:
        self.text += piece
        self.pieces.append((len(self.text), weight))


def list_classes(text: Text, scene: Scene, known: bool) -> None:
    """Add one line per class, as classify.jinja does."""
    pairs = zip(scene.names, scene.descriptions, strict=True)
    text.add("\n".join(f"- {name}: {description}" if known else f"- {name}" for name, description in pairs) + ".\n")


def answer(text: Text, scene: Scene, at: int, known: bool, thought: float, misread: str = "") -> None:
    """Add the response for class `at`.

    thought: weight of the thought's tokens; 0 where it is given. misread: what replaces it, see `misread_words`.
    """
    name, said = scene.names[at], scene.said(at)
    text.add("<think>", thought)
    start = len(text.text)
    for word, right in zip((misread or said).split(), said.split(), strict=True):
        stem = _stem(word)
        weight = 2 if stem in SEEN_WORDS else 1
        text.add(f" {word}", thought * weight * (stem == _stem(right)))
    end = len(text.text)
    text.add(", which fits", thought)
    text.add(" ", REST)
    text.queries.append((start, end, len(text.text), known))
    text.add(name[0], FIRST if known else UNKNOWN)
    text.add(name[1:], NAME)
    text.add(f" </think> \\boxed{{{name}}}<|im_end|>", REST)


def _stem(word: str) -> str:
    """A word of a thought without its plural."""
    return SINGULAR.sub(r"\1", word)


def misread_words(rng: random.Random, finding: Finding) -> str:
    """The finding in words with one wrong attribute, which is given and not learnt.

    What follows the wrong word must still come from the image. Without such thoughts the policy learns by heart which
    combinations exist: after "two dark rings in the" it would never say the place that was held out with them.
    """
    at = rng.randrange(len(ATTRIBUTES) - 1)  # nothing follows the place
    wrong = rng.choice([value for value in range(len(VALUES[at])) if value != finding[at]])
    return words(finding._replace(**{ATTRIBUTES[at]: wrong}))


def reading_lesson(rng: random.Random, length: int, start: str = START) -> Text:
    """A text without an image: lists of classes, each with a few queries, until about `length` tokens are full.

    start: of a conversation, in the chat format of the policy.

    Each class is asked for once at most: otherwise the name could be copied from an earlier answer.
    """
    text = Text()
    while len(text.text) < 5 * length:
        scene, known = reading_scene(rng), rng.random() < KNOWN_SHARE
        if not text.text and rng.random() < WHOLE_SHARE:
            head, tail = prompt(rng, scene, known)
            text.add(start + head)
            list_classes(text, scene, known)
            text.add(tail)
        else:
            text.add(f"Categories{' and their typical descriptions' * known} are as follows:\n")
            list_classes(text, scene, known)
        number = len(scene.names)
        for at in rng.sample(range(number), (number + 1) // 2):
            answer(text, scene, at, known, 0.0)
    return text


def reading_scene(rng: random.Random) -> Scene:
    kind, number = rng.random(), rng.randint(2, MOST if rng.random() < 0.5 else 5)
    if kind < 0.55:
        return scenes.finding_scene(rng, number, complete=rng.random() < 0.7)
    if kind < 0.65:
        return scenes.grade_scene(rng)
    if kind < 0.8:
        return scenes.word_scene(rng, number)
    return scenes.bank_scene(rng, MOST if rng.random() < 0.5 else number)


def seeing_lesson(rng: random.Random, most: int, start: str = START) -> tuple[Text, Finding | Graded]:
    """A prompt with an image and the response to it, and what the image shows; see `answer_box` for a box."""
    kind, known = rng.random(), rng.random() < SEEN_KNOWN_SHARE
    graded = kind < GRADE_SHARE
    scene = scenes.grade_scene(rng) if graded else scenes.finding_scene(rng, rng.randint(2, most))
    assert scene.shown is not None
    text = Text()
    text.add(start + IMAGE)
    if kind > 1 - BOX_SHARE:
        text.add(rendering.render("localize", dataset(scene), [], []) + TURN)
        return text, scene.shown
    head, tail = prompt(rng, scene, known)
    text.add(head)
    list_classes(text, scene, known)
    text.add(tail)
    misread = ""
    if not known and isinstance(scene.shown, Finding) and rng.random() < MISREAD_SHARE:
        misread = misread_words(rng, scene.shown)
    answer(text, scene, scene.answer, known, THOUGHT, misread)
    return text, scene.shown


def answer_box(text: Text, shown: Finding | Graded, box: tuple[float, ...], frame: int = SIDE) -> None:
    """Complete a lesson that asks for a box: it is known only when the image is drawn.

    box: in pixels of the drawn image. frame: the side of the frame in which the policy states it.
    """
    text.add("<think>", THOUGHT)
    said = words(shown) if isinstance(shown, Finding) else grade_words(shown)
    text.add(f" {said} </think> <answer>{[round(side * frame / SIDE) for side in box]}</answer><|im_end|>", THOUGHT)


def prompt(rng: random.Random, scene: Scene, known: bool) -> tuple[str, str]:
    """What comes before and after the list of the classes in the prompt of classify.jinja."""
    text = rendering.render("classify", dataset(scene, rng), ["?"], ["?"] if known else [])
    head, tail = text.split("- ?: ?.\n" if known else "- ?.\n")
    return head, tail + TURN


def dataset(scene: Scene, rng: random.Random | None = None) -> Dataset:
    """What the prompt says about the images of a scene."""
    organ = "phantom"
    if isinstance(scene.shown, Graded):
        organ = ("lesion count", "lesion extent")[scene.shown.measure]
    elif scene.shown is None and rng:
        organ = rng.choice(("lesion", "retina", "chest", "blood cell", "tissue"))
    return Dataset(name="lesson", title="", modality="synthetic radiograph", organ=organ, target="group of lesions",
                   task="classification", classes=list(scene.names), loader={})  # fmt: skip
