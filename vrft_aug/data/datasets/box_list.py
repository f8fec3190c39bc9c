"""Reads a CSV file with one line per finding: `image,x1,y1,x2,y2` in pixels of the image.

A line with an image and no numbers says, like no line at all, that the image has no finding.
"""

from collections import defaultdict
from pathlib import Path

from vrft_aug.data.datasets.csv_file import read_table
from vrft_aug.data.datasets.image_files import Box

SIDES = ("x1", "y1", "x2", "y2")
REMEDY = "write one line per finding: image,x1,y1,x2,y2, with the images as in the first list, the box in pixels"


def read_boxes(path: Path, names: set[str]) -> dict[str, tuple[Box, ...]]:
    """The boxes of each image that the file names. names: all images, of lines with several each of them.

    Raises InputError, with the first ten mistakes, for a line twice, an image that is none of `names`, and a bad box.
    """
    table = read_table(path, ("image", *SIDES), (), REMEDY)
    found: dict[str, list[Box]] = defaultdict(list)
    for row in table.rows:
        if row["image"] not in names:
            table.add(row, f"no image '{row['image']}' in the list of images", REMEDY)
        if box := table.box(row):
            found[row["image"]].append(box)
    table.raise_if_any()
    return {name: tuple(boxes) for name, boxes in found.items()}
