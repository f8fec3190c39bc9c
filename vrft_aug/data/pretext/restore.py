"""Asks how strongly an image is blurred or speckled, from 0 (not at all) to 4.

A masked autoencoder that also removes blur learns ultrasound better (Kang et al. 2023, arXiv 2306.08249). A policy that
answers in words restores no pixel, so it grades what a restoration would have to undo.
"""

from numpy.random import Generator
from PIL.Image import Image

from vrft_aug.data.degradations import blur, speckle
from vrft_aug.data.pretext.pretext_task import Made, Pretext

# Each grade doubles the one before it, so that neighbours differ equally for the eye.
BLUR = (2 / 224, 4 / 224, 8 / 224, 16 / 224)  # standard deviation of a Gaussian, as a share of the shorter side
SPECKLE = (0.1, 0.2, 0.4, 0.8)  # standard deviation of the factor of a pixel
GRADES = tuple(str(grade) for grade in range(len(BLUR) + 1))


def degrade(image: Image, grade: int, rng: Generator) -> Image:
    """The image with blur or with speckle, whichever is drawn. grade 0: the image itself."""
    alter, strengths = ((blur, BLUR), (speckle, SPECKLE))[rng.integers(2)]
    return alter(image, strengths[grade - 1], rng) if grade else image


def make(image: Image, rng: Generator) -> Made:
    grade = int(rng.integers(len(GRADES)))
    return Made(degrade(image, grade, rng), grade)


PRETEXT = Pretext("grading", GRADES, "grade of its blur or its speckle, from 0 for none to 4 for the strongest,", make)
