"""Lets samples of several images pass through what opens one image per sample (opening.py), and joins the results."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from vrft_aug.data.datasets.sample import Sample

Found = TypeVar("Found")


def apart(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Each sample, followed by one sample for each of its other images."""
    for sample in samples:
        yield sample
        for image in sample.more:
            yield sample._replace(image=image, more=())


def together(opened: Iterable[tuple[Sample, Found]]) -> Iterator[tuple[Sample, list[Found]]]:
    """The samples that `apart` got, each with what was found for its images, in their order."""
    pairs = iter(opened)
    for sample, found in pairs:
        yield sample, [found, *(more for _, more in islice(pairs, len(sample.more)))]
