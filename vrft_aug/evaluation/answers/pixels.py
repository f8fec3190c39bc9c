"""Reads an image as 28 x 28 pixels, for logistic regression (linear.py).

A class has a coefficient per pixel, 784 (grey) or 2352, often more than there are training images, and neighbouring
pixels are nearly copies of each other. scikit-learn's penalty of 1 would fit the noise, so the penalty is 100.
"""

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 28  # pixels: MedMNIST's side; larger images are reduced to it
PENALTY = 100.0  # of the coefficients, see linear.answer
Pixels = NDArray[np.uint8]


def read(seen: Iterable[bytes], asked: Iterable[bytes]) -> tuple[Pixels, Pixels]:
    """The images of training and test as rows of pixels; one channel if all images of training are grey."""
    small, other = reduced(seen), reduced(asked)
    if (small == small[..., :1]).all():  # the other two channels are copies
        small, other = small[..., :1], other[..., :1]
    return small.reshape(len(small), -1), other.reshape(len(other), -1)


def reduced(images: Iterable[bytes]) -> Pixels:
    """Encoded images as RGB of SIDE x SIDE pixels, shape (n, SIDE, SIDE, 3)."""
    return np.stack([_reduced(encoded) for encoded in images])


def _reduced(encoded: bytes) -> Pixels:
    with Image.open(io.BytesIO(encoded)) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2)
    return np.asarray(small)
