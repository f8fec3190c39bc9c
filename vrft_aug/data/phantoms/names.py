"""Makes up names of diseases from syllables, as "Brinsol". A fifth of all names is held out from the tiny policy."""

import zlib

import numpy as np

ONSETS = ("b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "gr", "kl", "pl",
          "st", "tr", "th")  # fmt: skip
VOWELS = "aeiou"
CODAS = "lnrsxmdk"


def _syllables(number: int) -> tuple[str, ...]:
    every = [onset + vowel + coda for onset in ONSETS for vowel in VOWELS for coda in CODAS]
    return tuple(sorted(np.random.default_rng(1).choice(every, number, replace=False).tolist()))


SYLLABLES = _syllables(110)


def is_held_out_name(name: str) -> bool:
    return zlib.crc32(name.encode()) % 5 == 0


def draw_name(rng: np.random.Generator, held_out: bool) -> str:
    """A name of two or three syllables that begins with a capital letter."""
    while True:
        name = "".join(rng.choice(SYLLABLES, rng.choice((2, 2, 3)))).capitalize()
        if is_held_out_name(name) == held_out:
            return name


def draw_names(rng: np.random.Generator, number: int, held_out: bool) -> list[str]:
    """Different names."""
    names: dict[str, None] = {}
    while len(names) < number:
        names[draw_name(rng, held_out)] = None
    return list(names)
