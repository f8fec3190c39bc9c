"""Defines what a pretext task is: a question with its classes, and the function that alters an image."""

from collections.abc import Callable
from typing import NamedTuple

from numpy.random import Generator
from PIL.Image import Image

from vrft_aug.data.datasets.image_files import Box


class Made(NamedTuple):
    """An altered image with its ground truth: an index into the task's classes, and a box in its pixels if any."""

    image: Image
    label: int
    box: Box | None = None


class Pretext(NamedTuple):
    """task: which rewards and metrics it has (rewards/parsing.py). target: what the prompt asks for, in words.

    make: takes an image of 8 x 8 pixels or more, grey or RGB, and uses random numbers from nowhere else.
    """

    task: str
    classes: tuple[str, ...]
    target: str
    make: Callable[[Image, Generator], Made]
