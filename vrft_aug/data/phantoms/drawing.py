"""Draws phantoms: a grey field with texture and noise, and small shapes in it, as a synthetic radiograph.

Level, contrast, noise, radius, angle and place vary from image to image. Grades are drawn so that neighbours are hard
to tell apart: lesions of a graded number may be faint or touch, and the extents of neighbouring grades overlap.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vrft_aug.data.phantoms.findings import LOOKS, SHAPES, Finding
from vrft_aug.data.phantoms.grades import MEASURES, Graded

Box = tuple[float, float, float, float]
SIDE = 112  # the measures below are pixels of an image of this side; another size scales them
CENTRES = np.array([(56, 56), (30, 30), (82, 30), (30, 82), (82, 82)])  # x, y of PLACES
CORNERS = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])
RADII = (5.0, 9.0, 13.0, 17.0)  # of EXTENTS; each varies by a fifth


class Look(NamedTuple):
    """How hard a phantom is to read: the ranges of contrast and noise, in grey levels of 255."""

    contrast: tuple[float, float] = (35, 90)
    noise: tuple[float, float] = (4, 12)


LOOK = Look()


class Drawn(NamedTuple):
    """An image, uint8 (size, size, 3), in pixels the tight box around all of its lesions, None without a lesion, and
    one around each."""

    image: np.ndarray
    box: Box | None
    boxes: tuple[Box, ...]


def draw(rng: np.random.Generator, shown: Finding | Graded, size: int = SIDE, look: Look = LOOK) -> Drawn:
    """One phantom. A Finding must have a value for each attribute."""
    if isinstance(shown, Graded):
        centres, radii = _graded_lesions(rng, shown)
    else:
        centres, radii = _clustered_lesions(rng, shown)
    assert shown.look is not None and shown.shape is not None
    scale = size / SIDE
    field = _background(rng, size)
    sign = 1 if LOOKS[shown.look] == "bright" else -1
    contrast = rng.uniform(*look.contrast)
    faint = isinstance(shown, Graded) and MEASURES[shown.measure] == "number"
    mask, boxes = np.zeros((size, size), np.float32), []
    half_width, angle = rng.uniform(1.6, 2.4) * scale, rng.uniform(0, np.pi)
    for centre, radius in zip(centres * scale, radii * scale, strict=True):
        strength = rng.uniform(0.5, 1) if faint else 1.0
        opacity = _opacity(SHAPES[shown.shape], centre, radius, half_width, angle + rng.normal(0, 0.3), size)
        np.maximum(mask, strength * opacity, out=mask)
        boxes.append(_tight_box(opacity))
    field += sign * contrast * mask
    field += rng.uniform(*look.noise) * rng.standard_normal((size, size), np.float32)
    grey = np.clip(np.rint(field), 0, 255).astype(np.uint8)
    return Drawn(np.repeat(grey[:, :, None], 3, axis=2), _tight_box(mask), tuple(filter(None, boxes)))


def _clustered_lesions(rng: np.random.Generator, shown: Finding) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) and radii (n,) of the lesions of a finding: the corners of a small square around its place."""
    assert shown.number is not None and shown.place is not None
    number = shown.number + 1
    corners = 12.0 * CORNERS[rng.permutation(4)[:number]] + rng.uniform(-2.5, 2.5, (number, 2))
    if number == 1:
        corners *= 0.5
    centres = CENTRES[shown.place] + rng.uniform(-4, 4, 2) + corners
    radius = rng.uniform(8, 13) if number == 1 else rng.uniform(6.5, 9)
    return centres, radius * rng.uniform(0.9, 1.1, number)


def _graded_lesions(rng: np.random.Generator, shown: Graded) -> tuple[np.ndarray, np.ndarray]:
    """Centres and radii of the lesions of a grade, anywhere in the field."""
    if not shown.grade:
        return np.zeros((0, 2)), np.zeros(0)
    if MEASURES[shown.measure] == "extent":
        radius = np.array([RADII[shown.grade - 1] * rng.uniform(0.8, 1.2)])
        return rng.uniform(radius + 4, SIDE - radius - 4, (1, 2)), radius
    cells = rng.permutation(9)[: shown.grade]  # of a grid of 3 x 3: two lesions may touch but not cover each other
    centres = np.stack([cells % 3, cells // 3], 1) * 34.0 + 22 + rng.uniform(-9, 9, (shown.grade, 2))
    return centres, rng.uniform(5, 9, shown.grade)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A grey level, a linear gradient, and a texture that varies over about an eighth of the side; float32."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 12)
    knots = np.linspace(0, 7, size, dtype=np.float32)
    rise = np.maximum(0, 1 - np.abs(knots[:, None] - np.arange(8, dtype=np.float32)))  # linear between 8 knots
    texture = rise @ rng.standard_normal((8, 8), np.float32) @ rise.T
    gradient = np.cos(angle) * line[None, :] + np.sin(angle) * line[:, None]
    return (rng.uniform(105, 140) + slope * gradient + 5 * texture).astype(np.float32)


def _opacity(
    shape: str, centre: Sequence[float], radius: float, half_width: float, angle: float, size: int
) -> np.ndarray:
    """1 inside the shape, 0 outside, with a soft edge of one pixel; (size, size)."""
    pixels = np.arange(size, dtype=np.float32) + 0.5
    dx, dy = pixels[None, :] - np.float32(centre[0]), pixels[:, None] - np.float32(centre[1])
    if shape == "disc":
        distance = np.hypot(dx, dy) - radius
    elif shape == "ring":
        distance = np.abs(np.hypot(dx, dy) - radius + half_width) - half_width
    else:
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        distance = _line(along, across, radius)
        if shape == "cross":
            distance = np.minimum(distance, _line(across, along, radius))
        distance = distance - half_width
    return np.clip(0.5 - distance, 0, 1)


def _line(along: np.ndarray, across: np.ndarray, radius: float) -> np.ndarray:
    """Distance from a straight line of length 2 * radius."""
    return np.hypot(np.maximum(np.abs(along) - radius, 0), across)


def _tight_box(mask: np.ndarray) -> Box | None:
    """The smallest box around all pixels that a lesion covers by half of its strength or more; None without one."""
    rows, columns = np.nonzero(mask >= 0.5 * max(float(mask.max()), 1e-6))
    if not len(rows):
        return None
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
