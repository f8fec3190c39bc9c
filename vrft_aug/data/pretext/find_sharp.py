"""Asks for a box around the only part of an image that is neither blurred nor speckled: PA_pi without masks."""

from numpy.random import Generator
from PIL.Image import Image

from vrft_aug.data.pretext.pretext_task import Made, Pretext
from vrft_aug.data.pretext.restore import degrade

GRADE = 3  # of the degradation around the part: visible, and the image is still one
SHARES = (0.4, 0.6)  # smallest and largest share of each side that the part has


def make(image: Image, rng: Generator) -> Made:
    """The box has whole pixels and lies anywhere in the image, each place being as likely as the others."""
    left, right = _range(image.width, rng)
    top, bottom = _range(image.height, rng)
    degraded = degrade(image, GRADE, rng)
    degraded.paste(image.crop((left, top, right, bottom)), (left, top))
    return Made(degraded, 0, (float(left), float(top), float(right), float(bottom)))


def _range(side: int, rng: Generator) -> tuple[int, int]:
    length = round(side * rng.uniform(*SHARES))
    start = int(rng.integers(side - length + 1))
    return start, start + length


PRETEXT = Pretext("localization", ("sharp",), "only part of it that is neither blurred nor speckled", make)
