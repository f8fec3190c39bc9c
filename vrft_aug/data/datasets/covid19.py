"""Loads COVID-19 severity on chest radiographs, 0 to 6 (Danilov et al. 2022): 1,364 images of five collections.

Layout under `<root>/covid19/`: `metadata.csv` and `<dataset>/<filename>`. Order: that of the metadata. Readers R and D
scored the images; reader D scored only some of them.

A sample: Sample(image=Path(".../COVID-00039a.jpg"), label=6, source_id="<dataset>/COVID-00039a.jpg",
group_id="<dataset>/covid-00039").

The metadata name no patients. The group is the file name without the part that numbers a patient's images (a, b, c;
day 3; figure 2). It may join two patients of one article, but it never separates the images of one case number. A group
that is in two official splits moves as a whole to the split that has most of it.
"""

import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.csv_file import Row, Table, read_table
from vrft_aug.data.datasets.sample import SPLITS, DataWarning, Sample
from vrft_aug.data.datasets.slice_columns import Asked, read_slices
from vrft_aug.errors import InputError

REMEDY = (
    "get the 'Dataset for COVID-19 segmentation and severity scoring' of Danilov et al. (Mendeley Data, "
    "https://data.mendeley.com/datasets/36fjrg9s69) and unpack it to "
    "<data_root>/covid19/{metadata.csv, <dataset>/<filename>}"
)
GRADES = range(7)
READERS = {"R": "Score R", "D": "Score D"}
CONSENSUS: dict[str, Callable[[Sequence[int]], int]] = {
    "ceil_mean": lambda scores: math.ceil(sum(scores) / len(scores)),
    "floor_mean": lambda scores: sum(scores) // len(scores),
    "max": max,
    "reader_r": lambda scores: scores[0],
    "reader_d": lambda scores: scores[-1],
}
CASE = re.compile(  # the start of a file name that identifies the patient, if the name numbers cases
    r"covid-19-(?:caso|pneumonia)-\d+|covid-19 ?\(\d+\)|covid-\d{5}|wong-\d+|(?:normal2-)?im-\d+|\d{5}(?=_\d_\d)"
    r"|figure1-[0-9a-f]+|[0-9a-f]{24,}|[0-9a-f]{8}-[0-9a-f]{4}-[-0-9a-f]+"
)
TAIL = re.compile(  # in other names, the patient's part ends where this begins
    r"[-_. ]+(?:day-?\d|\d+-(?:hours|days)|admission|fig\d|gr\d|fx\d|f\d|g\d{2}|case\d|pa\b|aps?\b|left\b|right\b"
    r"|later\b|pdf|m-[a-f]$|[a-f]\d?$|\d{1,2}$)"
)


def load(
    root: Path, split: str, *, consensus: str = "ceil_mean", exclude: Sequence[str] | None = None,
    partial: bool = False, slices: Asked = (),
) -> Iterator[Sample]:
    """Yield one split, as the column `subset` states it, with all images of a patient in one split.

    consensus: how two scores become a grade, one of CONSENSUS; a single score is the grade.
    exclude: columns that leave an image out if they say "Yes", as "Inaccurate labelling"; None: keep all images.
    partial: missing images are no error. slices: columns of the metadata; see `read_slices`. The scores of both readers
    are in the samples' `readers`.
    """
    if consensus not in CONSENSUS:
        raise InputError(f"dataset.loader.consensus={consensus}: must be one of {', '.join(CONSENSUS)}")
    folder = Path(root) / "covid19"
    table = read_table(folder / "metadata.csv", ("dataset", "filename"), (*READERS.values(), "subset"), REMEDY)
    leave_out(table, exclude or ())
    rows = table.rows
    names = [f"{row['dataset']}/{row['filename']}" for row in rows]
    for row, name in zip(rows, names, strict=True):
        table.below(row, name)
    scores = [read_scores(table, row) for row in rows]
    official = [table.split(row, "subset") for row in rows]
    sliced = read_slices(table, slices)
    table.raise_if_any()
    report_agreement(scores)
    groups = [f"{row['dataset']}/{patient(row['filename'])}" for row in rows]
    home = group_splits(official, groups)
    absent = check_present(folder, names, partial)
    for row, name, values, group, parts in zip(rows, names, scores, groups, sliced, strict=True):
        if home[group] == split and name not in absent:
            read = {reader: row[column] and f"{float(row[column]):.0f}" for reader, column in READERS.items()}
            yield Sample(folder / name, CONSENSUS[consensus](values), name, group, origin=table.path,
                         place=table.place(row), slices=parts, readers=read)


def leave_out(table: Table, exclude: Sequence[str]) -> None:
    """Remove the rows with "Yes" in one of these columns, and warn how many. Raises InputError for another column."""
    columns = [exclude] if isinstance(exclude, str) else exclude
    flags = [name for name in table.header if {row[name] for row in table.rows} <= {"Yes", "No", ""}]
    for column in columns:
        if column not in flags:
            raise InputError(f"dataset.loader.exclude: {table.path} has no column '{column}' that says Yes or No; use "
                             f"[] or some of [{', '.join(flags)}]")
        kept = [row for row in table.rows if row[column] != "Yes"]
        warnings.warn(f"{len(table.rows) - len(kept)} of {len(table.rows)} images with '{column}' left out "
                      "(dataset.loader.exclude)", DataWarning, stacklevel=3)
        table.rows = kept


def read_scores(table: Table, row: Row) -> list[int]:
    """The scores of readers R and D, in this order; one of them may be missing. Other scores are a mistake."""
    try:
        scores = [float(row[column]) for column in READERS.values() if row[column]]
    except ValueError:
        scores = []
    if not scores or any(score not in GRADES for score in scores):
        found = f"R={row['Score R'] or 'empty'}, D={row['Score D'] or 'empty'}"
        table.add(row, f"scores {found}", "give at least one integer from 0 to 6")
        return []
    return [int(score) for score in scores]


def report_agreement(scores: Sequence[Sequence[int]]) -> None:
    """Warn how often the two readers agree: an accuracy above this means little."""
    if gaps := [abs(r - d) for r, d in (pair for pair in scores if len(pair) == 2 and any(pair))]:
        exact, near = (sum(gap <= most for gap in gaps) / len(gaps) for most in (0, 1))
        warnings.warn(f"readers R and D agree exactly on {exact:.0%} and within one grade on {near:.0%} of the "
                      f"{len(gaps)} images that both scored and not both as 0", DataWarning, stacklevel=3)


def patient(filename: str) -> str:
    """The part of a file name that identifies the patient, or the article if the name does not tell the patient."""
    stem = filename.lower().rsplit(".", 1)[0].removeprefix("mers-cov-")
    if case := CASE.match(stem):
        return case[0]
    tail = TAIL.search(stem)
    return stem[: tail.start()] if tail else stem


def group_splits(official: Sequence[str], groups: Sequence[str]) -> dict[str, str]:
    """The split of each group: the official split of most of its images; in a tie the earlier of train, val, test."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for split, group in zip(official, groups, strict=True):
        votes[group][split] += 1
    home = {group: max(SPLITS, key=count.__getitem__) for group, count in votes.items()}
    if moved := sum(split != home[group] for split, group in zip(official, groups, strict=True)):
        text = f"{moved} images left their official split, so that no patient is in two splits"
        warnings.warn(text, DataWarning, stacklevel=3)
    return home


def check_present(folder: Path, names: Sequence[str], partial: bool) -> set[str]:
    """The names whose image does not exist. Raises InputError unless `partial`."""
    if absent := [name for name in names if not (folder / name).is_file()]:
        text = f"{len(absent)} of {len(names)} images are absent, the first: {absent[0]}"
        if not partial or len(absent) == len(names):
            raise InputError(f"{folder}: {text}; {REMEDY}, or continue with partial=true")
        warnings.warn(text, DataWarning, stacklevel=3)
    return set(absent)
