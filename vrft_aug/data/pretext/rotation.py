"""Asks by how many quarter turns an image was turned clockwise, 0 to 3 (Gidaris et al. 2018, arXiv 1803.07728).

Only images with an upper side can teach it; those of tissue or of phantoms look alike from every side.
"""

from numpy.random import Generator
from PIL import Image

from vrft_aug.data.pretext.pretext_task import Made, Pretext

# Pillow turns counterclockwise.
TURNS = (None, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_90)


def make(image: Image.Image, rng: Generator) -> Made:
    """The square in the middle, turned: the shape of the whole image would tell 1 and 3 from 0 and 2."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    label = int(rng.integers(len(TURNS)))
    turn = TURNS[label]
    return Made(square if turn is None else square.transpose(turn), label)


TARGET = "number of quarter turns by which it was turned clockwise"
PRETEXT = Pretext("classification", ("0", "1", "2", "3"), TARGET, make)
