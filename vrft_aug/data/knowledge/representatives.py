"""Finds the typical images of a class: those nearest to the class's mean, compared as 16 x 16 grey thumbnails."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vrft_aug.data.datasets import medmnist
from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.preparation.selection import Index, pick
from vrft_aug.data.preparation.strata import Positions
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Load

SIDE = 16  # width and height of a thumbnail
LOOKED_AT = 512  # images per class, at most: a large class must not take hours
FEATURE = f"the class's mean thumbnail of {SIDE} x {SIDE} grey pixels, over at most {LOOKED_AT} images"


def representatives(load: Load, index: Index, labels: Sequence[int], count: int, seed: int) -> dict[int, Positions]:
    """The positions in the training split of each label's `count` images nearest to its mean, the nearest first.

    Of a class with more than LOOKED_AT images the seed draws as many. Each is opened once, and none if `count` is 0.
    """
    candidates = {label: drawn(index, label, seed if count else None) for label in labels}
    positions = np.sort(np.concatenate([*candidates.values(), np.empty(0, np.int64)]))
    looks = {place: thumbnail(open_image(sample.source()).image)
             for place, sample in zip(positions.tolist(), pick(load("train"), positions), strict=True)}
    return {label: nearest(places, looks)[:count] for label, places in candidates.items()}


def drawn(index: Index, label: int, seed: int | None) -> Positions:
    """At most LOOKED_AT positions of a label, ascending; none without a seed."""
    members = np.flatnonzero(index.labels == label)
    if seed is None:
        return members[:0]
    return np.sort(generator(seed, f"draft {label}").permutation(members)[:LOOKED_AT])


def thumbnail(image: Image.Image) -> NDArray[np.float64]:
    """An image as SIDE x SIDE grey values from 0 to 255, each the mean of its part of the image."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)


def nearest(places: Positions, looks: Mapping[int, NDArray[np.float64]]) -> Positions:
    """The positions by their thumbnail's distance to the mean of all of them; equal ones keep their order."""
    if not places.size:
        return places
    vectors = np.stack([looks[place].ravel() for place in places.tolist()])
    return places[np.argsort(np.linalg.norm(vectors - vectors.mean(axis=0), axis=1), kind="stable")]


def at_largest_size(dataset: Dataset, data_root: str) -> Dataset:
    """The data set with the largest of its MedMNIST files that exist; other data sets have one size, their own."""
    if "flag" not in dataset.loader:
        return dataset
    sizes = [size for size in medmnist.SIZES
             if medmnist.published(Path(data_root), dataset.loader["flag"], size)[0].exists()]
    return replace(dataset, loader=dataset.loader | {"size": max(sizes, default=dataset.loader["size"])})
