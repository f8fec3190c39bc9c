"""Yields phantoms as a data set: synthetic radiographs of a task that is drawn by a seed, so nothing is downloaded.

The first class has 4 of 13 images of a task of four, each other class 3. So the majority's share differs from chance,
and neither is a good score. Other shares make classes rare. Two simulated readers may disagree about a grade.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vrft_aug.data.datasets.sample import SPLITS, Sample
from vrft_aug.data.phantoms import drawing, tasks
from vrft_aug.data.phantoms.findings import words
from vrft_aug.data.phantoms.grades import Graded, grade_words
from vrft_aug.errors import InputError

SHARES = (4, 3)  # images of the first class and of each other class in a block; each block has its own order
READERS = ("A", "B")


def load(
    root: object, split: str, *, task: str, task_seed: int, diseases: int | None, seed: int, train: int, val: int,
    test: int, contrast: Sequence[float], noise: Sequence[float], size: int = drawing.SIDE,
    shares: Mapping[str, Sequence[int]] | None = None, reader_error: float | None = None,
) -> Iterator[Sample]:
    """Draw the phantoms of one split, in order. train, val, test: number of images. size: image side in pixels.

    task: findings, number or extent (vrft_aug/data/phantoms). task_seed: draws its diseases; seed: draws the images.
    diseases: their number, or None for a task of grading. contrast, noise: lowest and highest, in grey levels of 255.
    Image i depends on the task, (seed, split, i), the look and the size alone: a longer split begins with the shorter
    one. The box is tight around all lesions of an image, in pixels, None without a lesion; `boxes` has one around each.
    The findings are what was drawn, and so never partial.
    shares: split -> images of each class in a block, as {train: [20, 20, 1, 1]}; other splits have the usual ones.
    reader_error: probability that a reader gives a neighbouring grade; then the labels of train and val are what the
    two readers agree on (their mean, rounded up), and those of test what was drawn. None: no readers.
    Raises InputError for what is no task, split, range, share or probability, or a size below 56.
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
    block = _block(shares or {}, split, len(graded or names))
    _check_error(reader_error, bool(graded))
    for index in range(lengths[split]):
        label = label_of(stream, index, block)
        rng = np.random.default_rng((*stream, 1, index))
        shown = graded[label] if graded else tasks.completed(rng, names[label], found)
        text = grade_words(shown) if isinstance(shown, Graded) else words(shown)
        image, box, boxes = drawing.draw(rng, shown, size, look)
        name = f"{task}-{task_seed}-{seed}-{split}-{index}"
        read = {} if reader_error is None else read_grades((*stream, 2, index), label, len(graded), reader_error)
        if read and split != "test":
            label = math.ceil(sum(read.values()) / len(read))
        yield Sample(image=image, label=label, source_id=name, group_id=name, box=box, boxes=boxes, findings=text,
                     readers={reader: str(grade) for reader, grade in read.items()})  # fmt: skip


def _range(name: str, given: Sequence[float]) -> tuple[float, float]:
    """Raises InputError unless `given` is two numbers, the lower one first."""
    if len(given) != 2 or not 0 <= given[0] <= given[1] <= 255:
        raise InputError(f"phantom: {name}={list(given)}; give the lowest and the highest, in grey levels (0 to 255)")
    return float(given[0]), float(given[1])


def _block(shares: Mapping[str, Sequence[int]], split: str, classes: int) -> np.ndarray:
    """The labels of one block, in ascending order. Raises InputError unless the split's shares fit the classes."""
    given = list(shares.get(split, [SHARES[0]] + [SHARES[1]] * (classes - 1)))
    whole = all(type(share) is int and share >= 0 for share in given)
    if set(shares) - set(SPLITS) or len(given) != classes or not whole or not any(given):
        raise InputError(f"phantom: shares={dict(shares)}; give for a split (train, val or test) the number of images "
                         f"in a block of each of the {classes} classes, as {{train: [20, 20, 1, 1]}}")
    return np.repeat(np.arange(classes), given)


def _check_error(error: float | None, graded: bool) -> None:
    if error is not None and not (type(error) in (int, float) and 0 <= error <= 1 and graded):
        raise InputError(f"phantom: reader_error={error}; give a probability from 0 to 1, of a task with grades")


def label_of(stream: tuple[int, ...], index: int, block: np.ndarray) -> int:
    """The label of image `index`: labels come in blocks that hold each class by its share, in an order of their own."""
    number, place = divmod(index, len(block))
    return int(np.random.default_rng((*stream, 0, number)).permutation(block)[place])


def read_grades(stream: tuple[int, ...], grade: int, grades: int, error: float) -> dict[str, int]:
    """The grade that each reader gives, drawn by `stream`: the true one, or by `error` one above or below it."""
    rng = np.random.default_rng(stream)
    beside = [other for other in (grade - 1, grade + 1) if 0 <= other < grades]
    return {reader: int(rng.choice(beside)) if rng.random() < error else grade for reader in READERS}
