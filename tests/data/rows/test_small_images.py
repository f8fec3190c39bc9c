"""Small copies of a row's images: never larger than asked, in grey or RGB, and several next to each other."""

import io

import pytest
from PIL import Image

from vrft_aug.data.rows.small_images import side_by_side, small_image


def encoded(mode: str, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 1).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize(("mode", "seen"), [("L", "L"), ("RGB", "RGB"), ("RGBA", "RGB"), ("P", "RGB")])
def test_an_image_keeps_its_shape(mode, seen):
    small = small_image(encoded(mode, (400, 200)), 100)
    assert (small.mode, small.size) == (seen, (100, 50))
    assert small_image(encoded(mode, (40, 20)), 100).size == (40, 20)


def test_several_images_are_next_to_each_other():
    whole = side_by_side([Image.new("L", (20, 10), 200), Image.new("RGB", (5, 30), (1, 2, 3))])
    assert (whole.mode, whole.size) == ("RGB", (25, 30))
    assert [whole.getpixel(place) for place in ((0, 0), (0, 20), (24, 29))] == [(200,) * 3, (0,) * 3, (1, 2, 3)]
