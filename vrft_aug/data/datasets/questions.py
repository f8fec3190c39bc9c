"""Loads closed questions about images: a CSV or JSON file with one question per row, and options of its own per row.

Columns of your own CSV: `image,question,options,answer` and, if known, `type,group,split`. Options are written as
`cyst|nodule|none`; without any, a question that is answered by yes or no has these two. Open questions are left out,
with a warning that counts them. The published columns of VQA-RAD, SLAKE and PMC-VQA can be read as they are
(question_columns.py). All questions about an image are in one split; so are those of a `group` (patient).

A sample: Sample(image=Path(".../17.png"), label=0, source_id="17.png questions:4", group_id="17.png",
question=Question("Is there a mass?", ("no", "yes"), "yes"), slices={"type": "presence"}). Order: that of the files.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from vrft_aug.data.datasets.csv_file import Row, Table, read_table
from vrft_aug.data.datasets.json_file import read_json
from vrft_aug.data.datasets.question_columns import NAMES, Columns, columns_of, fault
from vrft_aug.data.datasets.question_splits import Found, homes
from vrft_aug.data.datasets.sample import SPLITS, DataWarning, Question, Sample
from vrft_aug.data.datasets.slice_columns import Asked, check_columns, read_slices
from vrft_aug.data.seeding import generator
from vrft_aug.data.setting_checks import check_choice, check_type, written
from vrft_aug.errors import InputError

TYPE = "type"  # the slice that holds the type of a question


def load(
    root: Path, split: str, *, folder: str, files: str | Mapping[str, str], images: str, columns: str, shuffle: bool,
    published_split: bool, shared: str, test: float, val: float, seed: int, language: str = "en",
    group: str | None = None, slices: Asked = (),
) -> Iterator[Sample]:  # fmt: skip
    """Yield one split. folder: below `root`; files: in it, one or one per split; images: their folder in it.

    columns: one of question_columns.NAMES. shuffle: the options of each row are in random order, by seed and row.
    published_split: test with the questions that VQA-RAD's authors test with. shared: "drop" leaves out questions for
    training whose image is also in val or test; "refuse" raises. test, val: shares of the splits that nothing names.
    group: a column; all questions of a group are in one split. slices: see `read_slices`.

    Raises InputError, which shows the first ten mistakes of a file. A missing image is one of them.
    """
    check_choice("dataset.loader.columns", columns, NAMES)
    check_choice("dataset.loader.shared", shared, ("refuse", "drop"))
    for key, value in (("shuffle", shuffle), ("published_split", published_split)):
        check_type(f"dataset.loader.{key}", value, bool, "true or false")
    known = columns_of(columns, language)
    if published_split and known.test is None:
        raise InputError(f"dataset.loader.published_split=true: the columns {columns} name no test questions; leave it "
                         "false: files, or a column `split`, say which split a question is in")
    named = _named(files)
    left: Counter[str] = Counter()
    found: list[Found] = []
    for stated, name in named.items():
        path = Path(root) / folder / name
        found += _read(path, stated, images, known, published_split, group, slices, left)
    for kind, number in sorted(left.items()):
        warnings.warn(f"{kind}: {number} left out", DataWarning, stacklevel=2)
    if not found:
        raise InputError(f"{Path(root) / folder}: no closed question in {', '.join(named.values())}; {known.remedy}")
    for one, home in zip(found, homes(found, shared, test, val, seed), strict=True):
        if home == split:
            yield _sample(one, seed if shuffle else None)


def _named(files: str | Mapping[str, str]) -> dict[str, str]:
    """{split: file}; the split is "" where one file holds all."""
    if isinstance(files, str):
        return {"": files}
    named = {key: name for key, name in files.items() if name} if isinstance(files, Mapping) else {}
    if not named or not set(named) <= set(SPLITS):
        raise InputError(f"dataset.loader.files={written(files)}: must be a file, or {{train: <file>, val: <file>, "
                         "test: <file>}, of which val and test may be left out")
    return named


def _read(
    path: Path, stated: str, images: str, known: Columns, published: bool, group: str | None, slices: Asked,
    left: Counter[str],
) -> list[Found]:  # fmt: skip
    """The questions of one file; `left` counts the rows that are left out, by their kind."""
    needs = [known.image, *known.needs]
    is_json = path.suffix == ".json"
    table = read_json(path, needs, known.remedy) if is_json else read_table(path, (), needs, known.remedy)
    if group:
        check_columns(table, [group], "group")
    found: list[Found] = []
    exist: dict[str, bool] = {}
    for row, more in zip(table.rows, read_slices(table, slices), strict=True):
        question = _question(table, row, known, left)
        image = os.path.normpath(os.path.join(images, row[known.image]))
        if question is None or not exist.setdefault(image, table.exists(row, image)):
            continue
        home = stated or _stated(table, row, known, published)
        types = {TYPE: row.get(known.type, "")} if known.type in table.header else {}
        by = row.get(group or "group") or image
        found.append(Found(table, row, image, question, by, home, types | more))
    table.raise_if_any()
    return found


def _question(table: Table, row: Row, known: Columns, left: Counter[str]) -> Question | None:
    """The question of a row. None: it is left out and counted or, in the user's own table, a mistake."""
    question = known.read(row)
    kind = question if isinstance(question, str) else fault(question)
    if not kind:
        return question  # type: ignore[return-value]  # a text is its own kind
    if known.own and not isinstance(question, str):
        table.add(row, f"one of the {kind}", known.remedy)
    else:
        left[kind] += 1
    return None


def _stated(table: Table, row: Row, known: Columns, published: bool) -> str:
    if published and known.test:
        return "test" if known.test(row) else "train"
    return table.split(row, "split") if known.own and "split" in row else ""


def _sample(one: Found, seed: int | None) -> Sample:
    """seed: of the order of the options; None keeps the table's."""
    name = f"{one.image} {one.table.path.stem}:{one.row['#']}"
    question = one.question
    if seed is not None:
        order = generator(seed, f"options {name}").permutation(len(question.options))
        question = question._replace(options=tuple(question.options[place] for place in order))
    return Sample(one.table.path.parent / one.image, 0, name, one.group, origin=one.table.path,
                  place=one.table.place(one.row), slices=one.slices, question=question)  # fmt: skip
