"""Reads the sheet of a run as a reader of Markdown does, and writes a cell of a table that fills most of its items."""

import json
import re
from pathlib import Path

from markdown_it import MarkdownIt
from toy_runs import cell_facts, cell_folder, predictions, write_cell, write_evaluation, write_training

from vrft_aug.evaluation.report.checklist.checklist_sheet import write_sheet

TRUTH = ["0"] * 60 + ["1"] * 40
ANSWERS = ["0"] * 50 + ["1"] * 48 + [""] * 2
CELL = ("tiny", "phantom_grade", 256, "v_rft")
SEED = 3
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tables(folder: Path) -> list[dict[str, list[str]]]:
    """The tables of a run's sheet in HTML: number of the item in each edition -> section, item, from, answer."""
    html = READER.render(write_sheet(folder).read_text(encoding="utf-8"))
    found = []
    for table in re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL):
        lines = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        cells = [re.findall(r"<td>(.*?)</td>", line, re.DOTALL) for line in lines]
        found.append({" ".join(row[:-4]): row[-4:] for row in cells})
        assert len(found[-1]) == len(cells), "an item occurs twice"
    return found


def record(folder: Path, **facts: object) -> Path:
    """Add facts to a folder's run.json."""
    known = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(known | facts))
    return folder


def checked_cell(root: Path, **facts: object) -> Path:
    """A cell whose policy was trained; shuffled images and logistic regression on pixels are beside its test."""
    folder = cell_folder(root, *CELL, seed=SEED)
    about = cell_facts(*CELL) | {"seed": SEED, "labels": {"train": 24, "val": 8}}
    train = write_training(folder / "train", 20, **about)
    record(train, steps=20, exported_step=10, policy="/moved/away", selected_by={"metric": "val-core/*/acc/mean@*"})
    (train / "policy").mkdir()
    known = {"policy": str(train / "policy"), "sampling": {"n": 1, "temperature": 0}, "versions": {"verl": "0.9.1"}}
    test = write_cell(root, *CELL, rows=predictions(TRUTH, ANSWERS), **about | known | {"git_commit": "abc123"} | facts)
    write_evaluation(test / "shuffled", "toy", predictions(TRUTH, TRUTH[::-1]), shuffled_images=True)
    write_evaluation(test / "pixels", "toy", predictions(TRUTH, ["0"] * 100), pixels=True)
    return folder
