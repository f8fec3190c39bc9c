"""Reads which images a line of a CSV file lists: in columns `image`, `image2`, `image3`, ..., or as a list in `image`.

A list has `|` between its paths: `p1/front.png|p1/side.png`. The images are in the order of the prompt. A line may have
fewer than the data set's `images`, but leaves none out in between. The column `box_image` is the number, from 1 on, of
the image that the line's box is in; empty or absent: the first.
"""

from vrft_aug.data.datasets.csv_file import Row, Table
from vrft_aug.data.datasets.image_settings import split_frame

BETWEEN = "|"
BOX_IMAGE = "box_image"


def column_names(images: int) -> list[str]:
    """The columns that are read beside `image`."""
    return [f"image{number}" for number in range(2, images + 1)] + [BOX_IMAGE] * (images > 1)


def images_of(table: Table, row: Row, images: int) -> list[str]:
    """The paths that a row lists, the first is never "". images: the most.

    A missing file, a gap, a path twice and too many images are mistakes.
    """
    cells = [row["image"], *(row.get(f"image{number}", "") for number in range(2, images + 1))]
    listed = [name.strip() for cell in cells for name in (cell.split(BETWEEN) if images > 1 else [cell])]
    found = [name for name in listed if name]
    if listed[: len(found)] != found:
        table.add(row, "an image is left out before another", "move the paths to the left: image, image2, ...")
    if len(found) > images:
        table.add(row, f"{len(found)} images, but the data set has dataset.images={images}", "raise dataset.images")
    for name in dict.fromkeys(found or [""]):
        table.exists(row, split_frame(name)[0])
        if found.count(name) > 1:
            table.add(row, f"'{name}' is there twice", "list each image of a line once")
    return found[:images] or [""]


def box_image(table: Table, row: Row, images: int) -> int:
    """Which of a row's images its box is in, from 0 on. What is no number of one of them is a mistake."""
    text = row.get(BOX_IMAGE, "") if images > 1 else ""
    if text and not (text.isdecimal() and 1 <= int(text) <= images):
        table.add(row, f"{BOX_IMAGE} '{text}' is not the number of one of the {images} images",
                  f"write {BOX_IMAGE} as 1 for `image`, 2 for `image2`, ...")  # fmt: skip
        return 0
    return int(text or 1) - 1
