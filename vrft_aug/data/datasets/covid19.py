"""COVID-19 severity on chest radiographs, 0 to 6 (Danilov et al. 2022): 1,364 images of five public collections.

Layout under `<root>/covid19/`: `metadata.csv` and `<dataset>/<filename>`. Order: that of the metadata. Readers R and D
scored the images; D left gaps.

A sample: Sample(image=Path(".../COVID-00039a.jpg"), label=6, source_id="<dataset>/COVID-00039a.jpg",
group_id="<dataset>/covid-00039").

The metadata name no patients. The group is read from the file name, cut before what numbers a patient's images (a, b,
c; day 3; figure 2): it may join two patients of one article, and never parts the images of one case number. A group
that lies in two official splits goes as a whole to the split that holds most of it.
"""

import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vrft_aug.data.datasets.csv_file import read_table, unique
from vrft_aug.data.datasets.sample import SPLITS, DataWarning, Sample
from vrft_aug.errors import InputError

COLUMNS = ("dataset", "filename", "Score R", "Score D", "subset")
REMEDY = (
    "get the 'Dataset for COVID-19 segmentation and severity scoring' of Danilov et al. (Mendeley Data, "
    "https://data.mendeley.com/datasets/36fjrg9s69) and unpack it to "
    "<data_root>/covid19/{metadata.csv, <dataset>/<filename>}"
)
GRADES = range(7)
CONSENSUS: dict[str, Callable[[Sequence[int]], int]] = {
    "ceil_mean": lambda scores: math.ceil(sum(scores) / len(scores)),
    "floor_mean": lambda scores: sum(scores) // len(scores),
    "max": max,
    "reader_r": lambda scores: scores[0],
    "reader_d": lambda scores: scores[-1],
}
CASE = re.compile(  # a stem's part that stands for the patient, where the name numbers cases
    r"covid-19-(?:caso|pneumonia)-\d+|covid-19 ?\(\d+\)|covid-\d{5}|wong-\d+|(?:normal2-)?im-\d+|\d{5}(?=_\d_\d)"
    r"|figure1-[0-9a-f]+"
    r"|[0-9a-f]{24,}|[0-9a-f]{8}-[0-9a-f]{4}-[-0-9a-f]+"
)
TAIL = re.compile(  # else the patient ends where this begins
    r"[-_. ]+(?:day-?\d|\d+-(?:hours|days)|admission|fig\d|gr\d|fx\d|f\d|g\d{2}|case\d|pa\b|aps?\b|left\b|right\b"
    r"|later\b|pdf|m-[a-f]$|[a-f]\d?$|\d{1,2}$)"
)


def load(
    root: Path, split: str, *, consensus: str = "ceil_mean", exclude: Sequence[str] = (), partial: bool = False
) -> Iterator[Sample]:
    """Yield one split of the official `subset`, patients kept together.

    consensus: the grade of two scores, one of CONSENSUS; an image with one score has that grade.
    exclude: columns whose "Yes" leaves an image out, as "Inaccurate labelling". partial: go on without absent images.
    """
    folder = Path(root) / "covid19"
    table = folder / "metadata.csv"
    rows = read_table(table, (*COLUMNS, *exclude), REMEDY)
    rows = [row for row in rows if not any(row[column] == "Yes" for column in exclude)]
    unique(table, rows, name_of)
    if consensus not in CONSENSUS:
        raise InputError(f"consensus={consensus}: one of {', '.join(CONSENSUS)}")
    scores = [read_scores(table, row) for row in rows]
    report_agreement(scores)
    groups = [f"{row['dataset']}/{patient(row['filename'])}" for row in rows]
    home = group_splits(table, rows, groups)
    absent = check_present(folder, rows, partial)
    for row, values, group in zip(rows, scores, groups, strict=True):
        if home[group] == split and name_of(row) not in absent:
            yield Sample(folder / name_of(row), CONSENSUS[consensus](values), name_of(row), group, origin=table)


def name_of(row: dict[str, str]) -> str:
    return f"{row['dataset']}/{row['filename']}"


def read_scores(table: Path, row: dict[str, str]) -> list[int]:
    """The scores of readers R and D, those that are there, in this order."""
    try:
        scores = [float(row[column]) for column in ("Score R", "Score D") if row[column]]
    except ValueError:
        scores = []
    if not scores or any(score not in GRADES for score in scores):
        found = f"R={row['Score R'] or 'empty'}, D={row['Score D'] or 'empty'}"
        raise InputError(f"{table} line {row['#']}: scores {found}; one integer of 0 to 6 at least, mend the line")
    return [int(score) for score in scores]


def report_agreement(scores: Sequence[Sequence[int]]) -> None:
    """How far two readers agree bounds what an accuracy can mean."""
    gaps = [abs(r - d) for r, d in (pair for pair in scores if len(pair) == 2 and any(pair))]
    if gaps:
        exact, near = (sum(gap <= most for gap in gaps) / len(gaps) for most in (0, 1))
        warnings.warn(f"readers R and D agree exactly on {exact:.0%} and within one grade on {near:.0%} of the "
                      f"{len(gaps)} images that both scored and not both as 0", DataWarning, stacklevel=3)


def patient(filename: str) -> str:
    """The part of a file name that stands for the patient or, failing that, for the article."""
    stem = filename.lower().rsplit(".", 1)[0].removeprefix("mers-cov-")
    if case := CASE.match(stem):
        return case[0]
    tail = TAIL.search(stem)
    return stem[: tail.start()] if tail else stem


def group_splits(table: Path, rows: Sequence[dict[str, str]], groups: Sequence[str]) -> dict[str, str]:
    """One split a group: the official one of most of its images, the earlier of train, val, test in a tie."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row, group in zip(rows, groups, strict=True):
        if row["subset"] not in SPLITS:
            raise InputError(f"{table} line {row['#']}: subset={row['subset']} is none of {', '.join(SPLITS)}; "
                             "mend the line")
        votes[group][row["subset"]] += 1
    home = {group: max(SPLITS, key=lambda split, count=count: count[split]) for group, count in votes.items()}
    moved = sum(row["subset"] != home[group] for row, group in zip(rows, groups, strict=True))
    if moved:
        warnings.warn(f"{moved} images left their official split, so that no patient stands in two", DataWarning,
                      stacklevel=3)
    return home


def check_present(folder: Path, rows: Sequence[dict[str, str]], partial: bool) -> set[str]:
    """Names of the listed images that are not there; an error unless `partial`."""
    absent = [name_of(row) for row in rows if not (folder / name_of(row)).is_file()]
    if absent:
        text = f"{len(absent)} of {len(rows)} images are absent, the first: {absent[0]}"
        if not partial or len(absent) == len(rows):
            raise InputError(f"{folder}: {text}; {REMEDY}, or go on with partial=true")
        warnings.warn(text, DataWarning, stacklevel=3)
    return set(absent)
