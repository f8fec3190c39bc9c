"""Says what a phantom can show: a number of bright or dark shapes in one place, and the words for it.

There are 4 x 2 x 4 x 5 = 160 combinations. Sixteen of them are held out: the tiny policy has never seen one of them
when its training ends, and the data sets draw their diseases from them alone.
"""

from itertools import product
from typing import NamedTuple

NUMBERS = ("one", "two", "three", "four")
LOOKS = ("bright", "dark")
SHAPES = ("disc", "ring", "streak", "cross")
PLACES = ("centre", "upper left", "upper right", "lower left", "lower right")
VALUES = (NUMBERS, LOOKS, SHAPES, PLACES)
ATTRIBUTES = ("number", "look", "shape", "place")


class Finding(NamedTuple):
    """Indexes into NUMBERS, LOOKS, SHAPES and PLACES. None: the attribute may have any value."""

    number: int | None
    look: int | None
    shape: int | None
    place: int | None

    def matches(self, other: "Finding") -> bool:
        """Whether one image can show both."""
        return all(a is None or b is None or a == b for a, b in zip(self, other, strict=True))


ALL = tuple(Finding(*values) for values in product(*(range(len(names)) for names in VALUES)))


def is_held_out(finding: Finding) -> bool:
    """One combination per pair of number and shape. So each number and shape occurs four times, and each look eight."""
    number, look, shape, place = finding
    assert number is not None and shape is not None
    return look == (number + shape) % 2 and place == (number + 2 * shape) % 5


HELD_OUT = tuple(finding for finding in ALL if is_held_out(finding))
SEEN = tuple(finding for finding in ALL if not is_held_out(finding))


def words(finding: Finding) -> str:
    """The finding in words, as "two dark rings in the upper left"; what may have any value is left out."""
    number, look, shape, place = finding
    found = [] if number is None else [NUMBERS[number]]
    found += [] if look is None else [LOOKS[look]]
    found.append(plural("lesion" if shape is None else SHAPES[shape], number))
    found += [] if place is None else [f"in the {PLACES[place]}"]
    return " ".join(found)


def plural(noun: str, number: int | None) -> str:
    """A noun after a number (an index into NUMBERS); the singular where the number is open."""
    return noun if not number else noun + ("es" if noun.endswith("ss") else "s")
