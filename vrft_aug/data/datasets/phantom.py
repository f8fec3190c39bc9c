"""Yields phantoms as a data set: synthetic radiographs of a task that is drawn by a seed, so nothing is downloaded.

The first class has 4 of 13 images of a task of four, each other class 3. So the majority's share differs from chance,
and neither is a good score.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vrft_aug.data.datasets.sample import SPLITS, Sample
from vrft_aug.data.phantoms import drawing, tasks
from vrft_aug.data.phantoms.findings import words
from vrft_aug.data.phantoms.grades import Graded, grade_words
from vrft_aug.errors import InputError

SHARES = (4, 3)  # images of the first class and of each other class in a block; each block has its own order


def load(
    root: object, split: str, *, task: str, task_seed: int, diseases: int | None, seed: int, train: int, val: int,
    test: int, contrast: Sequence[float], noise: Sequence[float], size: int = drawing.SIDE,
) -> Iterator[Sample]:
    """Draw the phantoms of one split, in order. train, val, test: number of images. size: image side in pixels.

    task: findings, number or extent (vrft_aug/data/phantoms). task_seed: draws its diseases; seed: draws the images.
    diseases: their number, or None for a task of grading. contrast, noise: lowest and highest, in grey levels of 255.
    Image i depends on the task, (seed, split, i), the look and the size alone: a longer split begins with the shorter
    one. The box is tight around all lesions of an image, in pixels, None without a lesion; `boxes` has one around each.
    The findings are what was drawn, and so never partial. Raises InputError for what is no task, split or range, or a
    size below 56.
    """
    number = tasks.check_task(task, task_seed, diseases)
    lengths = dict(zip(SPLITS, (train, val, test), strict=True))
    if split not in lengths:
        raise InputError(f"phantom: unknown split {split!r}; use one of {', '.join(SPLITS)}")
    if size < drawing.SIDE // 2:
        raise InputError(f"phantom: size {size} is too small for a lesion; use {drawing.SIDE // 2} or more")
    look = drawing.Look(_range("contrast", contrast), _range("noise", noise))
    stream = (seed, task_seed, tasks.TASKS.index(task), SPLITS.index(split))
    found = tasks.draw_diseases(task_seed, number) if number else {}
    graded = [] if number else tasks.draw_graded(task_seed, task)
    names = list(found)
    for index in range(lengths[split]):
        label = label_of(stream, index, len(graded or names))
        rng = np.random.default_rng((*stream, 1, index))
        shown = graded[label] if graded else tasks.completed(rng, names[label], found)
        text = grade_words(shown) if isinstance(shown, Graded) else words(shown)
        image, box, boxes = drawing.draw(rng, shown, size, look)
        name = f"{task}-{task_seed}-{seed}-{split}-{index}"
        yield Sample(image=image, label=label, source_id=name, group_id=name, box=box, findings=text, boxes=boxes)


def _range(name: str, given: Sequence[float]) -> tuple[float, float]:
    """Raises InputError unless `given` is two numbers, the lower one first."""
    if len(given) != 2 or not 0 <= given[0] <= given[1] <= 255:
        raise InputError(f"phantom: {name}={list(given)}; give the lowest and the highest, in grey levels (0 to 255)")
    return float(given[0]), float(given[1])


def label_of(stream: tuple[int, ...], index: int, classes: int) -> int:
    """The label of image `index`: labels come in blocks that hold each class by its share, in an order of their own."""
    block = np.repeat(np.arange(classes), [SHARES[0]] + [SHARES[1]] * (classes - 1))
    number, place = divmod(index, len(block))
    return int(np.random.default_rng((*stream, 0, number)).permutation(block)[place])
