"""Loads your own images, which a CSV file lists: `image,label` and, if known, `x1,y1,x2,y2,group,split`.

Image paths are relative to the CSV's folder. Labels are class names of the data set's YAML. A box is in pixels of the
image. Images of the same `group` (patient, lesion) stay in one split. `split` is train, val or test; without this
column, `seed` assigns whole groups per class. Order: that of the CSV.

A sample: Sample(image=Path(".../a/17.png"), label=1, source_id="a/17.png", group_id="patient 3").
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.csv_file import read_box, read_split, read_table
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.errors import InputError

REMEDY = "write one line per image: image,label and optionally x1,y1,x2,y2,group,split"


def load(
    root: Path, split: str, *, csv: str, classes: Sequence[str], test: float, val: float, seed: int
) -> Iterator[Sample]:
    """Yield one split. csv: path of the list, relative to `root`. test, val: shares if the list has no splits."""
    table = Path(root) / csv
    rows = read_table(table, ("image",), ("label",), REMEDY)
    for row in rows:
        if row["label"] not in classes and not (row["label"] == "" and row.get("x1")):
            raise InputError(f"{table} line {row['#']}: label '{row['label']}' is not a class of the data set's "
                             f"YAML ({', '.join(classes)}); correct one of the two")
    labels = [classes.index(row["label"]) if row["label"] else -1 for row in rows]
    groups = [row.get("group") or row["image"] for row in rows]
    official = [read_split(table, row, "split") for row in rows if "split" in row]
    home = official or split_by_group(labels, groups, test, val, seed)
    for row, label, group, where in zip(rows, labels, groups, home, strict=True):
        if where == split:
            yield Sample(table.parent / row["image"], label, row["image"], group, read_box(table, row), table)
