"""Loads Heel: 3,956 lateral foot radiographs in class folders (Taher and Oezacar 2024).

Layout under `<root>/heel/`: one folder per class with the class's name (letter case, spaces, `_` and `-` do not
matter). Order: by class, then by file name. We know of no published boxes; an optional `boxes.csv` adds them
(`image,x1,y1,x2,y2`, image as `<class folder>/<file>`, pixels). `sever` is Sever's disease, an inflammation of the heel
bone's growth plate in children.

A sample: Sample(image=Path(".../sever/12.jpg"), label=2, source_id="sever/12.jpg", group_id="sever/12.jpg").
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.csv_file import Table, read_table
from vrft_aug.data.datasets.group_split import split_by_group
from vrft_aug.data.datasets.image_files import Box
from vrft_aug.data.datasets.sample import Sample
from vrft_aug.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
REMEDY = (
    "get the data set from its authors (HeCapsNet, https://doi.org/10.1002/ima.23084) and unpack its class folders to "
    "<data_root>/heel/{normal,heel spur,sever}/"
)
BOX_REMEDY = "write one line per image: image,x1,y1,x2,y2, the image as <class folder>/<file>, the box in pixels"


def load(root: Path, split: str, *, classes: Sequence[str], test: float, val: float, seed: int) -> Iterator[Sample]:
    """Yield one split, drawn per class by `seed`. Patient identifiers are not published. test, val: shares."""
    folder = Path(root) / "heel"
    files = [(label, path) for label, name in enumerate(classes) for path in class_files(folder, name)]
    names = [f"{path.parent.name}/{path.name}" for _, path in files]
    boxes = read_boxes(folder / "boxes.csv", set(names))
    home = split_by_group([label for label, _ in files], names, test, val, seed)
    for (label, path), name, where in zip(files, names, home, strict=True):
        if where == split:
            box, place = boxes.get(name, (None, ""))
            yield Sample(path, label, name, name, box, folder / "boxes.csv" if boxes else None, place)


def read_boxes(path: Path, names: set[str]) -> dict[str, tuple[Box | None, str]]:
    """The box of each image, with its place in the file. The file is optional. names: all images."""
    table = read_table(path, ("image",), ("x1", "y1", "x2", "y2"), BOX_REMEDY) if path.exists() else Table(path)
    boxes = {row["image"]: (table.box(row), table.place(row)) for row in table.rows}
    for row in table.rows:
        if row["image"] not in names:
            table.add(row, f"no image '{row['image']}' in the class folders", BOX_REMEDY)
    table.raise_if_any()
    return boxes


def class_files(folder: Path, name: str) -> list[Path]:
    """The images of a class folder, sorted by name."""
    matches = [path for path in folder.glob("*/") if plain(path.name) == plain(name)]
    if len(matches) != 1:
        raise InputError(f"{folder}: {len(matches)} folders for the class '{name}' instead of one; {REMEDY}")
    files = sorted(path for path in matches[0].iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{matches[0]}: no images of class '{name}'; {REMEDY}")
    return files


def plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").strip()
