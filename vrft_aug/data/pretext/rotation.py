"""Asks by how many degrees an image was turned clockwise: 0, 90, 180 or 270 (Gidaris et al. 2018, arXiv 1803.07728).

Only images with an upper side can teach it; those of tissue or of phantoms look alike from every side.
"""

from numpy.random import Generator
from PIL import Image

from vrft_aug.data.pretext.pretext_task import Made, Pretext

TURNS = {"0": None, "90": Image.Transpose.ROTATE_270, "180": Image.Transpose.ROTATE_180,
         "270": Image.Transpose.ROTATE_90}  # fmt: skip  # Pillow turns counterclockwise


def make(image: Image.Image, rng: Generator) -> Made:
    """The square in the middle, turned: the shape of the whole image would tell 90 and 270 from 0 and 180."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    label = int(rng.integers(len(TURNS)))
    turn = [*TURNS.values()][label]
    return Made(square if turn is None else square.transpose(turn), label)


PRETEXT = Pretext("classification", tuple(TURNS), "number of degrees by which it was turned clockwise", make)
