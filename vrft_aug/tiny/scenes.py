"""Draws what a lesson is about: classes with names and descriptions, and which of them the image or the text shows.

Descriptions are of four kinds: findings of phantoms, grades of phantoms, the real knowledge bank, and random words of
the bank. The last kind has no meaning, so the only way to find the name is to compare words.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from vrft_aug.data.knowledge import reading
from vrft_aug.data.phantoms import findings, names
from vrft_aug.data.phantoms.findings import SEEN, VALUES, Finding, words
from vrft_aug.data.phantoms.grades import GRADES, Graded, grade_words
from vrft_aug.data.phantoms.tasks import MOST

NEAR = 0.4  # share of the other diseases that differ from the first in one or two attributes only
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Scene:
    """Classes and one that is meant. said: what a thought says of class i. shown: what the image shows, if any."""

    names: Sequence[str]
    descriptions: Sequence[str]
    said: Callable[[int], str]
    answer: int
    shown: Finding | Graded | None = None


def finding_scene(rng: random.Random, number: int, complete: bool = True) -> Scene:
    """Diseases of phantoms; most descriptions have all four attributes, some one to three.

    complete: a thought names all four attributes, as when it describes an image; else those of the description.
    """
    kept = 4 if rng.random() < 0.6 else rng.randint(1, 3)
    open_ = set(rng.sample(range(4), 4 - kept))
    found = _different(rng, number, open_)
    partial = [Finding(*(None if at in open_ else value for at, value in enumerate(one))) for one in found]
    answer = rng.randrange(len(found))
    said = found if complete else partial
    texts = [words(one) for one in partial]
    return Scene(_names(rng, len(found)), texts, lambda at: words(said[at]), answer, found[answer])


def _different(rng: random.Random, number: int, open_: set[int]) -> list[Finding]:
    """At most `number` findings that differ outside the attributes `open_`, some of them only a little."""
    first = rng.choice(SEEN)
    found = {tuple(value for at, value in enumerate(first) if at not in open_): first}
    for _ in range(20 * number):
        if len(found) == number:
            break
        other = list(first)
        if rng.random() < NEAR:
            for at in rng.sample(range(4), rng.choice((1, 1, 2))):
                other[at] = rng.randrange(len(VALUES[at]))
        one = Finding(*other) if other != list(first) else rng.choice(SEEN)
        if not findings.is_held_out(one):
            found.setdefault(tuple(value for at, value in enumerate(one) if at not in open_), one)
    chosen = list(found.values())
    rng.shuffle(chosen)
    return chosen


def grade_scene(rng: random.Random) -> Scene:
    """The grades 0 to 4 of a phantom, by number or by extent."""
    measure, look, shape = rng.randrange(2), rng.randrange(2), rng.randrange(4)
    texts = [grade_words(Graded(measure, grade, look, shape)) for grade in range(len(GRADES))]
    answer = rng.randrange(len(GRADES))
    return Scene(GRADES, texts, texts.__getitem__, answer, Graded(measure, answer, look, shape))


def bank_scene(rng: random.Random, number: int) -> Scene:
    """Classes of a real data set with the bank's descriptions; half of the time with made-up names."""
    classes = list(rng.choice(bank()).items())
    if len(classes) > number:
        classes = rng.sample(classes, number)
    texts = [text for _, text in classes]
    titles = [name for name, _ in classes] if rng.random() < 0.6 else _names(rng, len(classes))
    return Scene(titles, texts, lambda at: _part(rng, texts[at]), rng.randrange(len(texts)))


def word_scene(rng: random.Random, number: int) -> Scene:
    """Classes whose descriptions are random words."""
    texts = [" ".join(rng.choices(bank_words(), k=rng.randint(2, 8))) for _ in range(number)]
    return Scene(_names(rng, number), texts, lambda at: _part(rng, texts[at]), rng.randrange(number))


def _part(rng: random.Random, text: str) -> str:
    """The text, or a part of at least half of its words."""
    pieces = text.split()
    length = rng.randint((len(pieces) + 1) // 2, len(pieces))
    start = rng.randint(0, len(pieces) - length) if rng.random() < 0.4 else 0
    return text if rng.random() < 0.6 else " ".join(pieces[start : start + length])


def _names(rng: random.Random, number: int) -> list[str]:
    """Different names: most are made up of syllables, some are letters, and some are names of real classes."""
    generator = np.random.default_rng(rng.getrandbits(32))
    found: dict[str, None] = {}
    while len(found) < number:
        kind = rng.random()
        if kind < 0.7:
            name = names.draw_name(generator, held_out=False)
        elif kind < 0.8:
            name = "".join(rng.choices(LETTERS, k=rng.randint(3, 7)))
        else:
            name = rng.choice([name for classes in bank() for name in classes])
        found[name] = None
    return list(found)


@cache
def bank() -> list[dict[str, str]]:
    """The classes of each real data set with their descriptions."""
    found = []
    for path in sorted(reading.BANK.glob("*.yaml")):
        entries = reading.read(path)["classes"]
        found.append({name: reading.entry_text(entry, "description") for name, entry in entries.items()})
    assert max(map(len, found)) <= MOST
    return found


@cache
def bank_words() -> list[str]:
    texts = " ".join(text for classes in bank() for text in classes.values())
    return sorted({word.strip(".,;:()") for word in texts.split()} - {""})
