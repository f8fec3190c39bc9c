"""Draws phantoms: synthetic radiographs, so that everything runs without a download.

A grey field (smooth gradient, coarse texture, pixel noise) has bright lesions. Contrast, size, place and noise vary so
much that a person finds most lesions at once and a weak policy misses many. The majority class has 4 of 13 images
(31 %), the other classes have 3 of 13 each. So the majority's share differs from chance, and neither is a good score.
"""

from collections.abc import Iterator

import numpy as np

from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import SPLITS, Sample
from vrft_aug.errors import InputError

CLASSES = {"classification": ("clear", "nodule", "ring", "streak"), "grading": ("0", "1", "2", "3")}
BLOCK = (0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)  # labels of 13 consecutive images; each block has its own order


def load(
    root: object, split: str, *, task: str, seed: int, train: int, val: int, test: int, size: int = 56
) -> Iterator[Sample]:
    """Draw the phantoms of one split, in order. train, val, test: number of images. size: image side in pixels.

    Image i depends on (seed, task, split, i, size) alone: a longer split begins with the shorter one. Boxes are tight,
    in pixels: around the lesion in `classification`, around all nodules together in `grading` (label = their number),
    None if there is no lesion. Raises InputError for an unknown task or split, or a size below 28.
    """
    if task not in CLASSES:
        raise InputError(f"phantom: unknown task {task!r}; use one of {', '.join(CLASSES)}")
    lengths = dict(zip(SPLITS, (train, val, test), strict=True))
    if split not in lengths:
        raise InputError(f"phantom: unknown split {split!r}; use one of {', '.join(SPLITS)}")
    if size < 28:
        raise InputError(f"phantom: size {size} is too small for a lesion; use 28 or more")
    stream = (seed, tuple(CLASSES).index(task), SPLITS.index(split))
    for index in range(lengths[split]):
        block, place = divmod(index, len(BLOCK))
        label = int(np.random.default_rng((*stream, 0, block)).permutation(BLOCK)[place])
        image, box = draw(np.random.default_rng((*stream, 1, index)), task, label, size)
        name = f"{task}-{seed}-{split}-{index}"
        yield Sample(image=image, label=label, source_id=name, group_id=name, box=box)


def draw(rng: np.random.Generator, task: str, label: int, size: int) -> tuple[np.ndarray, Box | None]:
    """One phantom: uint8 image (size, size, 3), and the box (x1, y1, x2, y2) in pixels or None."""
    noise = rng.uniform(5, 12)
    field = _background(rng, size) + rng.normal(0, noise, (size, size))
    lesions = _nodules(rng, label, size) if task == "grading" else _lesion(rng, CLASSES[task][label], size)
    for lesion in lesions:
        field += rng.uniform(40, 90) * lesion
    grey = np.clip(np.rint(field), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2), _tight_box(lesions)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A grey level, a linear gradient, and a texture that varies over about an eighth of the side."""
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    angle = rng.uniform(0, 2 * np.pi)
    knots = np.linspace(0, 7, size)
    rise = np.maximum(0, 1 - np.abs(knots[:, None] - np.arange(8)))  # linear interpolation from 8 knots, (size, 8)
    texture = rise @ rng.normal(0, 7, (8, 8)) @ rise.T
    return rng.uniform(80, 130) + rng.uniform(0, 25) * (np.cos(angle) * x + np.sin(angle) * y) + texture


def _lesion(rng: np.random.Generator, shape: str, size: int) -> list[np.ndarray]:
    """Opacity (size, size) in [0, 1] of the lesion; an empty list for `clear`."""
    unit = size / 56
    if shape == "clear":
        return []
    reach = {"nodule": rng.uniform(3.5, 6), "ring": rng.uniform(6.5, 10), "streak": rng.uniform(7, 13)}[shape] * unit
    centre = rng.uniform(reach + 2 * unit, size - reach - 2 * unit, 2)
    if shape == "nodule":
        return [_opacity(_distance(centre, centre, size), reach)]
    if shape == "ring":
        half_width = rng.uniform(1, 1.6) * unit
        return [_opacity(np.abs(_distance(centre, centre, size) - reach + half_width), half_width)]
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * reach
    return [_opacity(_distance(centre - along, centre + along, size), rng.uniform(1, 1.6) * unit)]


def _nodules(rng: np.random.Generator, number: int, size: int) -> list[np.ndarray]:
    """Opacities of nodules that do not touch, because each is in its own quarter of the field."""
    half: float = size / 2
    lesions: list[np.ndarray] = []
    for quarter in rng.permutation(4)[:number]:
        radius = rng.uniform(3, 5.5) * size / 56
        corner = np.array([quarter % 2, quarter // 2]) * half
        centre = corner + rng.uniform(radius + 1, half - radius - 1, 2)
        lesions.append(_opacity(_distance(centre, centre, size), radius))
    return lesions


def _distance(start: np.ndarray, end: np.ndarray, size: int) -> np.ndarray:
    """Distance in pixels of every pixel centre, (size, size), from the line between two points (x, y)."""
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    (dx, dy), length2 = end - start, max(float(np.sum((end - start) ** 2)), 1e-9)
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / length2, 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def _opacity(distance: np.ndarray, radius: float) -> np.ndarray:
    """1 inside the radius, 0 outside, with a soft edge of one pixel."""
    return np.clip(radius - distance + 0.5, 0, 1)


def _tight_box(lesions: list[np.ndarray]) -> Box | None:
    """The smallest box around all pixels that a lesion covers at least by half; None without a lesion."""
    if not lesions:
        return None
    rows, columns = np.nonzero(np.max(lesions, axis=0) >= 0.5)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
