"""Defines a sample: one labelled image, or a few that belong together, as every loader yields it.

A loader opens no image. A sample reads its pixels when they are needed, so drawing ten images per class from 165,466
images opens ten images per class.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from vrft_aug.data.datasets.image_files import Box, mask_box, mask_boxes
from vrft_aug.data.datasets.picture import Pixels, Source

SPLITS = ("train", "val", "test")
Image = Source | Callable[[], Pixels]


class DataWarning(UserWarning):
    """A flaw in the data that the settings allow; the manifest records it."""


class Question(NamedTuple):
    """A question about an image. options: the answers to choose from, in the prompt's order; answer: the right one."""

    text: str
    options: tuple[str, ...]
    answer: str


class Sample(NamedTuple):
    """An image with its ground truth, or several images with one ground truth.

    image: the image, or the first one: pixels, the path of an image file (image_source.py: with settings), or a
    function that returns pixels. more: the others, in the order of the prompt.
    label: index into the data set's classes, -1 if unknown.
    source_id: the image's name in the source, unique within the data set.
    group_id: patient or lesion; all images of a group must be in one split. The source_id if nothing is known.
    box: the target's bounding box in original pixels, the path of a mask that shows it, or None.
    boxes: the box of each finding, () for an image without any; None: what `box` says, or nothing is known.
    box_image, boxes_image: which image `box`, and each of `boxes`, is in, from 0 on; (): all in the first.
    origin: the file that holds or lists the sample; the manifest records its checksum.
    place: where a table lists the sample, as "images.csv line 7"; error messages show it.
    findings: what can be seen in the image, in words, as "two dark rings in the upper left"; "" if unknown.
    slices: what divides the images, as {"sex": "female"}: accuracy is also measured per value; "" if unknown.
    readers: the class that each human reader gave, as {"R": "2"}; "" for none.
    question: what is asked about the image, for a data set with the task question; its label is then 0.
    All samples of a data set have the same slices and readers. No prompt uses them, and no reward uses the slices.
    """

    image: Image
    label: int
    source_id: str
    group_id: str
    box: Box | Path | None = None
    origin: Path | None = None
    place: str = ""
    findings: str = ""
    slices: Mapping[str, str] = MappingProxyType({})
    readers: Mapping[str, str] = MappingProxyType({})
    boxes: Sequence[Box] | None = None
    more: Sequence[Image] = ()
    box_image: int = 0
    boxes_image: Sequence[int] = ()
    question: Question | None = None

    def source(self) -> Source:
        """The image's pixels (read now if the source is a stream) or its file."""
        return self.image() if callable(self.image) else self.image

    def sources(self) -> list[Source]:
        """As `source`, of each image."""
        return [image() if callable(image) else image for image in (self.image, *self.more)]

    def bounding_box(self) -> Box | None:
        """The box in original pixels. A mask is opened here, not earlier."""
        return mask_box(self.box) if isinstance(self.box, Path) else self.box

    def all_boxes(self) -> list[Box]:
        """The box of each finding in original pixels, from top to bottom. A mask has one per connected part."""
        return [box for _, box in self.placed_boxes()]

    def placed_boxes(self) -> list[tuple[int, Box]]:
        """As `all_boxes`, image by image: which image each box is in, from 0 on, and the box."""
        found, images = self.boxes, self.boxes_image
        if found is None:
            found = mask_boxes(self.box) if isinstance(self.box, Path) else [self.box] if self.box else []
            images = [self.box_image] * len(found)
        placed = zip(images or [0] * len(found), found, strict=True)
        return sorted(placed, key=lambda one: (one[0], one[1][1], one[1][0]))

    def is_boxed(self, needs: str) -> bool:
        """Whether the "box", or all "boxes", are known. Detection may have an image without a finding."""
        return self.box is not None or (needs == "boxes" and self.boxes is not None)
