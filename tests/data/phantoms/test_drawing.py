"""Drawings of phantoms: they show what they are asked for, in its place, and the box is tight around it."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from vrft_aug.data.phantoms.drawing import SIDE, Look, draw
from vrft_aug.data.phantoms.findings import ALL, LOOKS, PLACES, SHAPES, Finding
from vrft_aug.data.phantoms.grades import GRADES, Graded

EMPTY, CLEAN = Look((0, 0), (0, 0)), Look((100, 100), (0, 0))  # without lesions, and without noise
NUMBER, EXTENT = range(2)


def lesions(seed, shown, size=SIDE):
    """How far each pixel is above (or below) the background, from 0 to 1, and the box."""
    drawn, background = (draw(np.random.default_rng(seed), shown, size, look) for look in (CLEAN, EMPTY))
    assert drawn.box == background.box
    return (drawn.image[..., 0].astype(int) - background.image[..., 0]) / 100, drawn.box


@pytest.mark.parametrize("size", [56, 112, 224])
@pytest.mark.parametrize("shape", range(len(SHAPES)), ids=SHAPES)
def test_the_box_is_tight(shape, size):
    for seed in range(20):
        mask, box = lesions(seed, Finding(seed % 4, 0, shape, seed % 5), size)
        x1, y1, x2, y2 = map(int, box)
        covered = mask > 0.52  # half of the strength, with room for the rounding to grey levels
        inside = mask[y1:y2, x1:x2] > 0.48
        assert 0 <= x1 < x2 <= size and 0 <= y1 < y2 <= size
        assert covered[y1:y2, x1:x2].sum() == covered.sum() > 0
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


@pytest.mark.parametrize("finding", ALL[::7], ids=str)
def test_the_lesions_are_in_their_place_and_bright_or_dark(finding):
    for seed in range(5):
        mask, (x1, y1, x2, y2) = lesions(seed, finding)
        x, y = (x1 + x2) / 2 / SIDE, (y1 + y2) / 2 / SIDE
        words = PLACES[finding.place].split()
        if words == ["centre"]:
            assert 0.35 < x < 0.65 and 0.35 < y < 0.65
        else:
            assert (y < 0.4, y > 0.6) == ("upper" in words, "lower" in words)
            assert (x < 0.4, x > 0.6) == ("left" in words, "right" in words)
        strength = mask if LOOKS[finding.look] == "bright" else -mask
        assert strength.max() > 0.9 and strength.min() >= 0


def test_the_discs_are_as_many_as_asked():
    for number in range(4):
        counted = [ndimage.label(lesions(seed, Finding(number, 0, 0, 0))[0] > 0.5)[1] for seed in range(30)]
        assert np.mean(np.array(counted) == number + 1) > 0.8  # some touch


def test_each_lesion_has_a_box_and_all_of_them_fill_the_box_around_all():
    for seed in range(20):
        shown = Finding(seed % 4, 0, seed % 4, seed % 5)
        drawn = draw(np.random.default_rng(seed), shown)
        assert len(drawn.boxes) == shown.number + 1
        lows, highs = np.min(drawn.boxes, axis=0)[:2], np.max(drawn.boxes, axis=0)[2:]
        assert (*lows, *highs) == drawn.box
    assert [len(draw(np.random.default_rng(1), Graded(NUMBER, grade, 1, 2)).boxes) for grade in range(5)] == [*range(5)]


def test_a_ring_is_hollow_and_a_disc_is_not():
    for shape, hollow in (("disc", False), ("ring", True)):
        for seed in range(10):
            mask, (x1, y1, x2, y2) = lesions(seed, Finding(0, 0, SHAPES.index(shape), 0))
            assert (mask[int(y1 + y2) // 2, int(x1 + x2) // 2] == 0) == hollow


@pytest.mark.parametrize("measure", [NUMBER, EXTENT])
def test_grade_zero_is_the_background_alone(measure):
    for seed in range(5):
        mask, box = lesions(seed, Graded(measure, 0, 0, 0))
        assert box is None and not mask.any()


def test_the_grade_is_the_number_of_lesions():
    for grade in range(1, len(GRADES)):
        counted = [ndimage.label(lesions(seed, Graded(NUMBER, grade, 0, 0))[0] > 0.2)[1] for seed in range(40)]
        assert max(counted) == grade and np.mean(np.array(counted) == grade) > 0.7  # some touch


def test_the_grade_is_the_extent_and_neighbours_overlap():
    sides = []
    for grade in range(1, len(GRADES)):
        boxes = [lesions(seed, Graded(EXTENT, grade, 0, 0))[1] for seed in range(40)]
        sides.append([x2 - x1 for x1, _, x2, _ in boxes])
    for smaller, larger in pairwise(sides):
        assert np.mean(smaller) < np.mean(larger)
    assert max(sides[2]) > min(sides[3]) and max(sides[0]) < min(sides[2])


def test_noise_and_contrast_are_those_of_the_look():
    shown = Graded(EXTENT, 0, 0, 0)
    quiet, loud = (draw(np.random.default_rng(0), shown, look=Look(noise=(level,) * 2)).image for level in (2, 20))
    rough = [np.diff(image[..., 0].astype(float)).std() for image in (quiet, loud)]
    assert rough == pytest.approx([2 * 2**0.5, 20 * 2**0.5], rel=0.1)
