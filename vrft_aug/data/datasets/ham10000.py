"""Loads HAM10000: 10,015 dermatoscopic images of seven diagnoses with lesion masks (Tschandl et al. 2018).

Layout under `<root>/ham10000/`: `HAM10000_metadata.csv`; the JPEG files in `images/`, or as published in
`HAM10000_images_part_1/` and `_part_2/`; `masks/` or `HAM10000_segmentations_lesion_tschandl/` with
`<image_id>_segmentation.png` (only boxes need them). Order: that of the metadata. A lesion may have several images, so
the lesion is the group.

A sample: Sample(image=Path(".../ISIC_0024306.jpg"), label=5, source_id="ISIC_0024306", group_id="HAM_0000550",
box=Path(".../ISIC_0024306_segmentation.png")).
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.csv_file import read_table
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.sample import DataWarning, Sample
from vrft_aug.data.datasets.slice_columns import Asked, read_slices
from vrft_aug.errors import InputError

IMAGE_FOLDERS = ("images", "HAM10000_images_part_1", "HAM10000_images_part_2")
MASK_FOLDERS = ("masks", "HAM10000_segmentations_lesion_tschandl")
MASK_SUFFIX = "_segmentation"
REMEDY = (
    "get HAM10000_metadata, HAM10000_images_part_1.zip, HAM10000_images_part_2.zip and "
    "HAM10000_segmentations_lesion_tschandl.zip from https://doi.org/10.7910/DVN/DBW86T and unpack them to "
    "<data_root>/ham10000/{HAM10000_metadata.csv, images/, masks/}, or continue with partial=true"
)


def load(
    root: Path, split: str, *, codes: Sequence[str], test: float, val: float, seed: int, partial: bool = False,
    slices: Asked = (),
) -> Iterator[Sample]:
    """Yield one split. `seed` assigns the lesions of each diagnosis to splits.

    codes: the metadata's `dx` codes, in the order of the classes. test, val: shares of the images.
    partial: missing images or masks are no error. slices: columns of the metadata; see `read_slices`.
    """
    folder = Path(root) / "ham10000"
    table = folder / "HAM10000_metadata.csv"
    listed = read_table(table, ("image_id",), ("lesion_id", "dx"), REMEDY)
    rows, codes = listed.rows, list(codes)
    for row in rows:
        if row["dx"] not in codes:
            listed.add(row, f"dx={row['dx']} is none of {', '.join(codes)}")
    sliced = read_slices(listed, slices)
    listed.raise_if_any()
    images, masks = find(folder, IMAGE_FOLDERS, ".jpg"), find(folder, MASK_FOLDERS, ".png")
    masks = {name.removesuffix(MASK_SUFFIX): path for name, path in masks.items()}
    check_files(folder, {row["image_id"] for row in rows}, images, masks, partial)
    labels = [codes.index(row["dx"]) for row in rows]
    home = split_by_group(labels, [row["lesion_id"] for row in rows], test, val, seed)
    for row, label, where, values in zip(rows, labels, home, sliced, strict=True):
        name = row["image_id"]
        if where == split and name in images:
            yield Sample(images[name], label, name, row["lesion_id"], masks.get(name), origin=table, slices=values)


def find(folder: Path, names: Sequence[str], suffix: str) -> dict[str, Path]:
    """Files with this suffix in the named folders, by their stem. A folder may be missing."""
    return {path.stem: path for name in names for path in sorted((folder / name).glob(f"*{suffix}"))}


def check_files(folder: Path, listed: set[str], images: dict, masks: dict, partial: bool) -> None:
    """Raise InputError unless images, masks and metadata match (`partial`: warn). Having no mask at all is valid."""
    gaps = {
        "images absent": listed - images.keys(),
        "images not in the metadata": images.keys() - listed,
        "masks without an image": masks.keys() - images.keys(),
        "images without a mask": images.keys() - masks.keys() if masks else set(),
    }
    for what, names in gaps.items():
        if names:
            text = f"{folder}: {len(names)} {what}, the first: {min(names)}"
            if not partial:
                raise InputError(f"{text}; {REMEDY}")
            warnings.warn(text.replace(str(folder), folder.name), DataWarning, stacklevel=3)
