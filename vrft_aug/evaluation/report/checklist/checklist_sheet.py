"""Writes reporting-checklist.md: the items of CLAIM and TRIPOD-LLM, filled from a run or left to the author."""

import re
from pathlib import Path

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.checklist import (
    checklist_items,
    comparison_cells,
    data_cells,
    policy_cells,
    result_cells,
    training_cells,
)
from vrft_aug.evaluation.report.checklist.checklist_items import AUTHOR, Checklist, Item
from vrft_aug.evaluation.report.checklist.run_record import RunRecord, read_run
from vrft_aug.files import write_whole

NAME = "reporting-checklist.md"
CHECKLISTS = ("claim", "tripod_llm")
PARTS = (data_cells, policy_cells, training_cells, result_cells, comparison_cells)
FILLERS = {name: filler for part in PARTS for name, filler in part.FILLERS.items()}
ABOUT = (
    "Numbers and topics follow the published checklists; the words are ours. Journals ask for the official forms: "
    "copy from here. **run**: what the files of the run say. **author**: what only a person knows."
)
SPECIAL = re.compile(r"([\\`*\[\]~$#]|(?<![^\W_])_|_(?![^\W_]))")  # an underscore inside a word is no mark
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}


def write_sheet(folder: Path) -> Path:
    """Write the sheet of the evaluation in `folder`, or of the table's cell `folder`, into it; return its path.

    The same files give the same bytes. Raises InputError as `read_run` does, and if it cannot be written.
    """
    text = sheet(read_run(folder), [checklist_items.read(name) for name in CHECKLISTS])
    try:
        write_whole(folder / NAME, text)
    except OSError as error:
        raise InputError(f"{folder / NAME} cannot be written ({error.strerror}): make room for it there") from None
    return folder / NAME


def sheet(record: RunRecord, checklists: list[Checklist]) -> str:
    """The Markdown of all checklists."""
    run = record.test.run
    facts = [f"{key} {run[key]}" for key in ("experiment", "dataset", "policy_name", "seed", "ended")
             if run.get(key) is not None]  # fmt: skip
    head = [f"# Reporting checklist: {escaped(record.name)}", escaped(", ".join(facts)), ABOUT]
    return "\n\n".join([*filter(None, head), *(_table(one, record) for one in checklists)]) + "\n"


def _table(checklist: Checklist, record: RunRecord) -> str:
    rows = [row(item, record) for item in checklist.items]
    answered = sum(one[-2] != AUTHOR for one in rows)
    header = [*checklist.editions, "Section", "Item", "From", "Where and what"]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join([
        f"## {checklist.title}", "", f"{answered} of {len(rows)} items have an answer from the run.", "",
        *(f"- {source}" for source in checklist.sources), "", *(f"| {' | '.join(line)} |" for line in lines),
    ])  # fmt: skip


def row(item: Item, record: RunRecord) -> list[str]:
    """The cells of an item: numbers, section, topic, who answers it, and the answer, as Markdown."""
    known = "" if item.fill == AUTHOR else FILLERS[item.fill](record)
    missing = "" if known or item.fill == AUTHOR else "not in this run's files"
    left = item.author or (missing and "fill in")
    who = " + ".join([*(["run"] if known else []), *([AUTHOR] if left else [])])
    answer = ". ".join(filter(None, [escaped(known or missing), left and f"**author:** {escaped(left)}"]))
    return [*(number or "–" for number in item.numbers), item.section, escaped(item.topic), who, answer]


def escaped(text: str) -> str:
    """A text that Markdown shows as it is: in one line, without a mark, an HTML tag or the end of a table's cell."""
    line = "".join(one for one in " ".join(text.split()) if one.isprintable())
    return "".join(ENTITIES.get(one, one) for one in SPECIAL.sub(r"\\\1", line))
