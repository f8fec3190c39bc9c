"""Your own images, listed in a CSV file: `image,label` and, as far as known, `x1,y1,x2,y2,group,split`.

Image paths are relative to the CSV's folder; labels are class names of the data set's YAML; a box is in pixels of the
image; `group` (patient, lesion) keeps images in one split; `split` is train, val or test. Without a column `split`,
whole groups are assigned per class by `seed`. Order: that of the CSV.

A sample: Sample(image=Path(".../a/17.png"), label=1, source_id="a/17.png", group_id="patient 3").
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.csv_file import read_box, read_table, unique
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.sample import SPLITS, Sample
from vrft_aug.errors import InputError

REMEDY = "write one line an image: image,label and optionally x1,y1,x2,y2,group,split"


def load(
    root: Path, split: str, *, csv: str, classes: Sequence[str], test: float, val: float, seed: int
) -> Iterator[Sample]:
    """Yield one split. csv: path of the list, relative to `root`. test, val: shares where the list has no splits."""
    table = Path(root) / csv
    rows = read_table(table, ("image", "label"), REMEDY)
    unique(table, rows, lambda row: row["image"])
    for row in rows:
        if row["label"] not in classes and not (row["label"] == "" and row.get("x1")):
            raise InputError(f"{table} line {row['#']}: label '{row['label']}' is no class of the data set's YAML "
                             f"({', '.join(classes)}); correct one of the two")
    labels = [classes.index(row["label"]) if row["label"] else -1 for row in rows]
    groups = [row.get("group") or row["image"] for row in rows]
    home = official(table, rows) or split_by_group(labels, groups, test, val, seed)
    for row, label, group, where in zip(rows, labels, groups, home, strict=True):
        if where == split:
            yield Sample(table.parent / row["image"], label, row["image"], group, read_box(table, row), table)


def official(table: Path, rows: Sequence[dict[str, str]]) -> list[str]:
    """The column `split`, or nothing where the list has none."""
    if not rows or "split" not in rows[0]:
        return []
    for row in rows:
        if row["split"] not in SPLITS:
            raise InputError(f"{table} line {row['#']}: split '{row['split']}' is none of {', '.join(SPLITS)}; "
                             "mend the line")
    return [row["split"] for row in rows]
