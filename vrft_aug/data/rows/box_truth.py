"""Makes the ground truth of boxes: checks that they fit their images, says which image they are in, scales them.

A box is x1, y1, x2, y2. In a row with several images the number of its image, from 1 on, comes first: five numbers.
"""

from collections.abc import Sequence

from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.errors import InputError
from vrft_aug.rewards.answer_text import MOST_BOXES

Sizes = Sequence[Sequence[int]]  # width and height of each image of a row


def one_box(sample: Sample, shown: Sequence[int], sizes: Sizes) -> tuple[float, ...]:
    """The sample's box; () if it has none, or none in an image that is shown. Raises InputError if it does not fit."""
    box = sample.bounding_box()
    return _checked(sample, sample.box_image, box, shown, sizes) if box and sample.box_image in shown else ()


def every_box(sample: Sample, shown: Sequence[int], sizes: Sizes) -> list[tuple[float, ...]]:
    """The box of each finding. Raises InputError for a box that does not fit, and for more than MOST_BOXES.

    shown: the images of the row, from 0 on: what is in another image is left out. sizes: theirs.
    """
    boxes = [(image, box) for image, box in sample.placed_boxes() if image in shown]
    if len(boxes) > MOST_BOXES:
        raise InputError(f"{where(sample)}: {len(boxes)} boxes, but an answer has at most {MOST_BOXES}; join some, or "
                         "leave the image out")
    return [_checked(sample, image, box, shown, sizes) for image, box in boxes]


def _checked(sample: Sample, image: int, box: Box, shown: Sequence[int], sizes: Sizes) -> tuple[float, ...]:
    at = list(shown).index(image)
    size = sizes[at]
    if not (0 <= box[0] < box[2] <= size[0] and 0 <= box[1] < box[3] <= size[1]):
        raise InputError(f"{where(sample)}: box {list(box)} does not fit the image of {size[0]} x {size[1]} pixels; "
                         "correct the box or the mask (x1, y1, x2, y2 in original pixels)")
    return (at + 1, *box) if len(shown) > 1 else box


def where(sample: Sample) -> str:
    """The sample's id, after its place where that is known."""
    return f"{sample.place}: {sample.source_id}" if sample.place else sample.source_id


def scale_box(box: Sequence[float], image: Sequence[int], frame: Sequence[int]) -> list[int]:
    """A box in original pixels, converted to the policy's frame and rounded to whole units.

    image, frame: width and height; of several images one pair after the other, as in a row.
    """
    if len(box) > 4:
        number, *sides = box
        pair = slice(2 * int(number) - 2, 2 * int(number))
        return [int(number), *scale_box(sides, image[pair], frame[pair])]
    return [round(side * new / old) for side, new, old in zip(box, [*frame] * 2, [*image] * 2, strict=True)]
