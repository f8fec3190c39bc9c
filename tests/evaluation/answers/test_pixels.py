"""Tests what logistic regression reads of an image as pixels."""

import io

import numpy as np
from PIL import Image

from vrft_aug.evaluation.answers import pixels


def encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8))


def test_images_of_any_kind_and_size_become_28_by_28_colours():
    found = pixels.reduced([encoded(Image.new("L", (100, 50), 7)), encoded(noise((28, 28)))])
    assert found.shape == (2, 28, 28, 3) and (found[0] == 7).all()
    assert np.array_equal(found[1], np.asarray(noise((28, 28))))


def test_grey_images_of_training_leave_one_channel_and_colour_keeps_three():
    grey, colour = encoded(Image.new("L", (30, 30), 7)), encoded(noise((30, 30)))
    assert [one.shape for one in pixels.read([grey], [colour, grey])] == [(1, 784), (2, 784)]
    assert [one.shape for one in pixels.read([grey, colour], [grey])] == [(2, 2352), (1, 2352)]
