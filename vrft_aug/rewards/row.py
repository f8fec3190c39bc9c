"""Names and types the part of a row that a reward may read: the column `extra_info`."""

from collections.abc import Sequence
from typing import Any, TypedDict


class Tag(TypedDict):
    """A name and its value. A list of tags has one arrow type for all data sets; a dict would have one type each."""

    name: str
    value: str


class ExtraInfo(TypedDict, total=False):
    """What scoring and reporting need of a row; `data/rows/schema.py` has the same keys as an arrow type.

    A plain dict with these keys works as well. A reward needs only some of them: see ROW_KEYS in `score.py`.

    index: the row's position in its split. classes, knowledge, aliases: in the order of the prompt; empty where there
    are none; a question's classes are its options.
    form: what the prompt asks for and in which order, one of `parsing.FORMS`; a row without it asks for the
    first. confidence: whether the prompt also asks how sure the policy is; a row without it does not.
    image_size: width and height of the original image, in pixels; of several images one pair after the other.
    frame_size: likewise of the frame in which the policy states boxes. box: x1, y1, x2, y2 in original pixels, after
    the number of its image (from 1 on) where there are several; empty where there is none, and in rows of detection,
    whose ground truth has all boxes. findings: what can be seen in the image, in words; empty where unknown.
    No reward reads it (thought.py). slices: what divides the images, as sex or site; no reward reads them. readers: the
    class that each human reader gave; expected_mfrs.py pays by them, and a group's weight may depend on them. The value
    of a tag is "" where unknown. readings: per image, how it was read, with its window, frame and spacing in mm; None
    for an ordinary image; only in rows of a data set that asks for it (schema.py). No reward reads it.
    """

    task: str
    split: str
    index: int
    source_id: str
    group_id: str
    label: int
    classes: list[str]
    knowledge: list[str]
    aliases: list[list[str]]
    prompt: str
    form: str
    confidence: bool
    image_size: Any  # two integers per image: a tuple when made, a list or an array when read
    frame_size: Any
    box: Any
    findings: str
    slices: Sequence[Tag]
    readers: Sequence[Tag]
    readings: Sequence[Any]
