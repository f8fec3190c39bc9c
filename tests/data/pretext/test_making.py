"""Altered images: the stated ground truth undoes what was done, and random numbers come from the generator alone."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from vrft_aug.data.pretext import PRETEXTS, find_sharp, jigsaw, restore
from vrft_aug.data.pretext.pretext_task import Made

RNG = np.random.default_rng(0)
NOISE = RNG.integers(64, 192, (57, 81, 3), np.uint8)  # odd and not square
COLOUR, GREY = Image.fromarray(NOISE), Image.fromarray(NOISE[..., 0])
DRAWS = 120


def draws(name: str, image: Image.Image = COLOUR) -> list[Made]:
    return [PRETEXTS[name].make(image, np.random.default_rng(seed)) for seed in range(DRAWS)]


def roughness(image: Image.Image) -> float:
    """Mean squared difference between neighbours of a row: blur lowers it, speckle raises it."""
    return float((np.diff(np.asarray(image, float), axis=1) ** 2).mean())


def same(one: Image.Image, other: Image.Image) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("name", PRETEXTS)
@pytest.mark.parametrize("image", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_seed_gives_one_image_and_the_classes_are_about_equally_frequent(name, image):
    before, found = np.array(image), draws(name, image)
    for one, other in zip(found, draws(name, image), strict=True):
        assert same(one.image, other.image) and one[1:] == other[1:]
    assert np.array_equal(before, np.asarray(image)), "the original stays as it is"
    assert {one.image.mode for one in found} == {image.mode}
    counts = np.bincount([one.label for one in found], minlength=len(PRETEXTS[name].classes))
    assert counts.min() >= DRAWS / len(counts) / 3


def test_blur_and_speckle_grow_with_the_grade():
    by_grade = {grade: [roughness(one.image) for one in draws("restore") if one.label == grade] for grade in range(5)}
    original = roughness(COLOUR)
    assert set(by_grade[0]) == {original}
    blurred = [np.mean([value for value in by_grade[grade] if value < original]) for grade in range(1, 5)]
    speckled = [np.mean([value for value in by_grade[grade] if value > original]) for grade in range(1, 5)]
    assert original > blurred[0] > blurred[1] > blurred[2] > blurred[3] > 0
    assert original < speckled[0] < speckled[1] < speckled[2] < speckled[3]


def test_speckle_multiplies_so_that_black_stays_black():
    black = Image.new("L", (40, 40))
    assert all(same(restore.speckle(black, strength, np.random.default_rng(0)), black) for strength in restore.SPECKLE)


def test_the_box_holds_the_original_and_everything_around_it_has_changed():
    for made in draws("find_sharp"):
        assert made.box is not None
        left, top, right, bottom = map(int, made.box)
        assert (left, top, right, bottom) == made.box and 0 <= left < right <= 81 and 0 <= top < bottom <= 57
        shares = (right - left) / 81, (bottom - top) / 57
        assert all(find_sharp.SHARES[0] - 0.02 <= share <= find_sharp.SHARES[1] + 0.02 for share in shares)
        unchanged = (np.asarray(made.image) == NOISE).all(axis=2)
        assert unchanged[top:bottom, left:right].all()
        unchanged[top:bottom, left:right] = False
        assert unchanged.mean() < 0.02


def test_turning_back_gives_the_square_in_the_middle():
    middle = COLOUR.crop((12, 0, 69, 57))
    for made in draws("rotation"):
        assert made.image.size == (57, 57)
        assert same(made.image.rotate(90 * made.label), middle)  # Pillow turns counterclockwise


def test_putting_the_quarters_in_their_places_gives_the_image():
    whole = np.asarray(COLOUR.crop((0, 0, 80, 56)))
    for made in draws("jigsaw"):
        shown = np.asarray(made.image)
        back = np.zeros_like(shown)
        for place, quarter in enumerate(map("abcd".index, jigsaw.ORDERS[made.label])):
            (y, x), (to_y, to_x) = divmod(place, 2), divmod(quarter, 2)
            back[28 * to_y :, 40 * to_x :][:28, :40] = shown[28 * y :, 40 * x :][:28, :40]
        assert np.array_equal(back, whole)


def test_two_orders_differ_in_three_places_or_more():
    assert len(set(jigsaw.ORDERS)) == 12 and all(sorted(order) == list("abcd") for order in jigsaw.ORDERS)
    pairs = combinations(jigsaw.ORDERS, 2)
    assert min(sum(a != b for a, b in zip(*pair, strict=True)) for pair in pairs) == 3
