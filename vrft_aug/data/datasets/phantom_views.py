"""Yields phantoms of which several images belong together, as two views or a few slices: one alone is not enough.

The first half of a sample's images shows one finding and the second half the other (vrft_aug/data/phantoms/views.py).
With more than two images, one image of each half, drawn at random, shows it, and the others have no lesion.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vrft_aug.data.datasets.phantom import SHARES, label_of
from vrft_aug.data.datasets.sample import SPLITS, Sample
from vrft_aug.data.phantoms import drawing
from vrft_aug.data.phantoms.grades import MEASURES, Graded
from vrft_aug.data.phantoms.views import HALVES, Pair, draw_pairs, pair_words
from vrft_aug.errors import InputError

NORMAL = Graded(MEASURES.index("number"), 0, 0, 0)  # no lesion


def load(
    root: object, split: str, *, task_seed: int, seed: int, images: int, train: int, val: int, test: int,
    contrast: Sequence[float], noise: Sequence[float],
) -> Iterator[Sample]:
    """Draw the samples of one split, in order. train, val, test: their number. images: of each sample, an even number.

    task_seed: draws the diseases; seed: draws the images. contrast, noise: lowest and highest, in grey levels of 255.
    Sample i depends on the seeds, the split, i, the look and the number of images alone. `boxes` has one around each
    lesion, with its image. Raises InputError for what is no split, and for an odd number of images.
    """
    lengths = dict(zip(SPLITS, (train, val, test), strict=True))
    if split not in lengths:
        raise InputError(f"phantom_views: unknown split {split!r}; use one of {', '.join(SPLITS)}")
    if type(images) is not int or images < HALVES or images % HALVES:
        raise InputError(f"phantom_views: dataset.images={images}; give an even number, as 2 or 4")
    pairs = draw_pairs(task_seed)
    look = drawing.Look((contrast[0], contrast[1]), (noise[0], noise[1]))
    stream = (seed, task_seed, images, SPLITS.index(split))
    block = np.repeat(np.arange(len(pairs)), [SHARES[0]] + [SHARES[1]] * (len(pairs) - 1))
    for index in range(lengths[split]):
        label = label_of(stream, index, block)
        name = f"views-{task_seed}-{seed}-{images}-{split}-{index}"
        yield _sample(np.random.default_rng((*stream, 1, index)), list(pairs.values())[label], images, look)._replace(
            label=label, source_id=name, group_id=name)  # fmt: skip


def _sample(rng: np.random.Generator, pair: Pair, images: int, look: drawing.Look) -> Sample:
    half = images // HALVES
    places = [at * half + int(rng.integers(half)) for at in range(HALVES)]
    shown = [pair[places.index(at)] if at in places else NORMAL for at in range(images)]
    drawn = [drawing.draw(rng, one, look=look) for one in shown]
    boxes = [(at, box) for at, one in enumerate(drawn) for box in one.boxes]
    first, *more = (one.image for one in drawn)
    return Sample(first, 0, "", "", findings=pair_words(pair), boxes=[box for _, box in boxes],
                  boxes_image=[at for at, _ in boxes], more=more)  # fmt: skip
