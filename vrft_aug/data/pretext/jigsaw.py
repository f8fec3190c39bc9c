"""Asks in which order the four quarters of an image are shown (Noroozi and Favaro 2016, arXiv 1603.09246).

The orders are the twelve even ones of 24. Any two of them differ in three or four places. With all 24, an image in
which two quarters look alike, as the dark corners of a scan, would have two right answers.
"""

from itertools import combinations, permutations

from numpy.random import Generator
from PIL import Image

from vrft_aug.data.pretext.pretext_task import Made, Pretext

QUARTERS = "abcd"  # upper left, upper right, lower left, lower right


def _even(order: tuple[str, ...]) -> bool:
    return sum(one > other for one, other in combinations(order, 2)) % 2 == 0


ORDERS = tuple("".join(order) for order in permutations(QUARTERS) if _even(order))


def make(image: Image.Image, rng: Generator) -> Made:
    """The order names the quarter that each place shows. An odd last row or column is cut off: quarters are equal."""
    width, height = image.width // 2, image.height // 2
    corners = [(x, y) for y in (0, height) for x in (0, width)]
    label = int(rng.integers(len(ORDERS)))
    shuffled = Image.new(image.mode, (2 * width, 2 * height))
    for corner, quarter in zip(corners, ORDERS[label], strict=True):
        x, y = corners[QUARTERS.index(quarter)]
        shuffled.paste(image.crop((x, y, x + width, y + height)), corner)
    return Made(shuffled, label)


TARGET = ("order of its four shuffled quarters, row by row, where a belongs to the upper left, b to the upper right, c "
          "to the lower left and d to the lower right,")  # fmt: skip
PRETEXT = Pretext("classification", ORDERS, TARGET, make)
