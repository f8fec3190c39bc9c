"""Loads your own images, which a CSV file lists: `image,label` and, if known, `x1,y1,x2,y2,group,split,findings`.

A second CSV may list all findings, one box per line; an image that it does not name has none (box_list.py).

Image paths are relative to the CSV's folder and stay below it. Labels are class names of the data set's YAML; an empty
one is unknown: such an image serves prompts that ask for boxes, and the pretexts (prompt=restore). A box is
in pixels of the image. Images of the same `group` (patient, lesion) stay in one split. `split` is train, val or test;
without this column, `seed` assigns whole groups per class. `findings` is what can be seen, in words. Other
columns may divide the images into slices or hold what human readers said (slice_columns.py). Order: that of the CSV.
A line may list several images that belong together, such as two views (image_columns.py).

A sample: Sample(image=Path(".../a/17.png"), label=1, source_id="a/17.png", group_id="patient 3").
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from vrft_aug.data.datasets.box_list import read_boxes
from vrft_aug.data.datasets.csv_file import Row, Table, read_table
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.image_columns import box_image, column_names, images_of
from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.image_settings import ImageSettings, split_frame
from vrft_aug.data.datasets.image_source import ImageFile
from vrft_aug.data.datasets.sample import SPLITS, DataWarning, Sample
from vrft_aug.data.datasets.slice_columns import Asked, columns_of, read_readers, read_slices
from vrft_aug.data.setting_checks import check_type

COLUMNS = ("image", "label", "x1", "y1", "x2", "y2", "group", "split", "findings")
REMEDY = "write one line per image: image,label and optionally x1,y1,x2,y2,group,split,findings"


def load(
    root: Path, split: str, *, csv: str, classes: Sequence[str], test: float, val: float, seed: int,
    slices: Asked = (), readers: Mapping[str, str] | None = None, boxes: str | None = None, images: int = 1,
    window: object = None, frame: object = None, axis: object = "axial", record: bool = False,
) -> Iterator[Sample]:
    """Yield one split. csv: path of the list, relative to `root`. test, val: shares if the list has no splits.

    slices: columns that divide the images; see `read_slices`. readers: {name of a human reader: column of the classes}.
    boxes: path of the list of all findings, relative to `root`. images: most images per line. window, frame, axis: see
    `ImageSettings`. record: whether the rows say how their images were read; the composer of rows reads this key.

    Raises InputError, which shows the first ten mistakes of the list. A missing image is one of them.
    """
    settings = ImageSettings.of(window, frame, axis)
    check_type("dataset.loader.record", record, bool, "true or false")
    table = read_table(Path(root) / csv, COLUMNS[:1], COLUMNS[1:2], REMEDY)
    rows, names = table.rows, list(classes)
    labels = [read_label(table, row, names) for row in rows]
    box_of = [table.box(row) for row in rows]
    listed = [images_of(table, row, images) for row in rows]
    every = read_boxes(Path(root) / boxes, {name for names in listed for name in names}) if boxes else {}
    of_box = [box_image(table, row, len(found)) for row, found in zip(rows, listed, strict=True)]
    groups = [row.get("group") or split_frame(row["image"])[0] for row in rows]
    official = read_splits(table, groups)
    sliced, read = read_slices(table, slices), read_readers(table, readers or {}, names)
    table.raise_if_any()
    report_unread(table, [*column_names(images), *columns_of(slices), *(readers or {}).values()])
    home = official or split_by_group(labels, groups, test, val, seed)
    columns = zip(rows, labels, box_of, groups, home, sliced, read, listed, of_box, strict=True)
    for row, label, box, group, where, of_slices, of_readers, shown, which in columns:
        if where == split:
            files = [(table.path.parent / name, settings.at(at)) for name, at in map(split_frame, shown)]
            image, *more = (ImageFile(*file) for file in files)
            found = row.get("findings", "")
            sample = Sample(image, label, row["image"], group, box, table.path, table.place(row), found, of_slices,
                            of_readers, more=more, box_image=which)  # fmt: skip
            yield with_boxes(sample, [every.get(name, ()) for name in shown]) if boxes else sample


def with_boxes(sample: Sample, boxes: Sequence[Sequence[Box]]) -> Sample:
    """The sample with all boxes of each of its images."""
    of_image = [which for which, found in enumerate(boxes) for _ in found]
    return sample._replace(boxes=tuple(chain.from_iterable(boxes)), boxes_image=of_image)


def read_label(table: Table, row: Row, classes: Sequence[str]) -> int:
    """The index of a row's class; -1 for an image without a label. Another word is a mistake."""
    if row["label"] in classes:
        return classes.index(row["label"])
    if row["label"]:
        table.add(row, f"label '{row['label']}' is not a class",
                  f"the classes of the data set's YAML are {', '.join(classes)}: correct the label or the YAML")
    return -1


def read_splits(table: Table, groups: Sequence[str]) -> list[str]:
    """The splits that the table names, [] if it names none. A group in two splits is a mistake."""
    first: dict[str, Row] = {}
    for row, group in zip(table.rows, groups, strict=True):
        if "split" not in row or table.split(row, "split") not in SPLITS:
            continue
        known = first.setdefault(group, row)
        if known["split"] != row["split"]:
            table.add(row, f"group '{group}' is in {known['split']} (line {known['#']}) and in {row['split']}",
                      "put all of a group (patient, lesion) in one split")
    return [row["split"] for row in table.rows if "split" in row]


def report_unread(table: Table, more: Iterable[str]) -> None:
    """Warn of columns that this loader does not read: a column `patient` would keep no patient together.

    more: the columns of slices and readers.
    """
    if unread := [column for column in table.header if column not in (*COLUMNS, *more)]:
        warnings.warn(f"{table.path.name}: not read: column {', '.join(unread)} (read: {', '.join(COLUMNS)})",
                      DataWarning, stacklevel=3)
