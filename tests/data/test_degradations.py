"""Tests degraded images against values computed by hand, and what a degradation must leave alone."""

import io

import numpy as np
import pytest
from PIL import Image

from vrft_aug.data.degradations import KINDS, STRENGTHS, blank, degraded

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 255, (90, 120, 3), np.uint8)
GREY = RNG.integers(0, 255, (90, 120), np.uint8)


def encode(pixels: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def decode(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def changed(pixels: np.ndarray, kind: str, level: int, name: str = "one", seed: int = 0) -> np.ndarray:
    return decode(degraded(encode(pixels), name, kind=kind, level=level, seed=seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
def test_size_and_channels_stay_and_a_stronger_level_changes_more(kind: str, pixels: np.ndarray):
    found = [changed(pixels, kind, level) for level in (1, 2, 3)]
    assert [one.shape for one in found] == [pixels.shape] * 3
    errors = [np.abs(one.astype(float) - pixels).mean() for one in found]
    assert 0 < errors[0] < errors[1] < errors[2]
    assert np.array_equal(found[0], changed(pixels, kind, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_three_equal_channels_stay_equal(kind: str):
    for form in ("PNG", "JPEG"):
        encoded = encode(np.repeat(GREY[..., None], 3, axis=2), form)
        assert decode(degraded(encoded, "one", kind=kind, level=3, seed=0)).shape == GREY.shape


def test_blur_spreads_a_bright_square_by_its_standard_deviation():
    square = np.zeros((448, 672), np.uint8)
    square[200:248, 300:348] = 255  # far from the edges; a square of n pixels has the variance (n * n - 1) / 12
    for level, deviation in ((2, 6.0), (3, 12.0)):  # 3 / 224 and 6 / 224 of 448 pixels
        profile = changed(square, "blur", level).sum(0).astype(float)
        places = np.arange(len(profile))
        mean = np.average(places, weights=profile)
        variance = np.average((places - mean) ** 2, weights=profile)
        assert mean == pytest.approx(323.5, abs=0.1)
        assert variance == pytest.approx((48**2 - 1) / 12 + deviation**2, rel=0.05)


def test_noise_has_its_standard_deviation_and_belongs_to_the_image():
    flat = np.full((200, 200), 128, np.uint8)
    one = changed(flat, "noise", 1) - 128.0
    assert one.mean() == pytest.approx(0, abs=0.5) and one.std() == pytest.approx(0.08 * 255, rel=0.02)
    stronger = changed(flat, "noise", 2) - 128.0
    assert np.corrcoef(one.ravel(), stronger.ravel())[0, 1] > 0.99  # the same numbers, only larger
    for other in (changed(flat, "noise", 1, name="two"), changed(flat, "noise", 1, seed=1)):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05


def test_noise_of_a_colour_differs_by_channel():
    flat = np.full((100, 100, 3), (100, 128, 150), np.uint8)
    found = changed(flat, "noise", 1).astype(float).reshape(-1, 3)
    assert np.abs(np.corrcoef(found.T) - np.eye(3)).max() < 0.05


def test_jpeg_is_pillows_own_of_that_quality():
    stream = io.BytesIO()
    Image.fromarray(COLOUR).save(stream, "JPEG", quality=15)
    assert np.array_equal(changed(COLOUR, "jpeg", 2), np.asarray(Image.open(stream)))


def test_downsampling_averages_blocks():
    found = changed(GREY[:80], "downsample", 3)  # 80 x 120 become 20 x 30: blocks of 4 x 4
    means = GREY[:80].reshape(20, 4, 30, 4).mean((1, 3))
    assert np.abs(found - np.kron(means, np.ones((4, 4)))).max() <= 1  # Pillow rounds after rows and after columns
    assert changed(np.full((1, 1), 9, np.uint8), "downsample", 3).tolist() == [[9]]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_blank_image_is_grey_whatever_it_was(form: str):
    found = decode(blank(encode(COLOUR, form)))
    assert found.shape == (90, 120) and (found == 128).all()


def test_every_kind_has_three_strengths():
    assert KINDS.keys() == STRENGTHS.keys() and {len(one) for one in STRENGTHS.values()} == {3}
