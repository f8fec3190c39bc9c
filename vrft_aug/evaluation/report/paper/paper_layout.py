"""Lays out a filled table of the paper: as a table to read and as rows for CSV."""

from collections.abc import Iterable, Mapping

import pandas as pd

from vrft_aug.evaluation.report.paper.paper_numbers import AVERAGE, Printed
from vrft_aug.evaluation.report.paper.paper_table import Entry, PaperTable, Row
from vrft_aug.evaluation.report.text_table import Table, interval, limits

MISSING = "no run"
COUNTS = ["n", "data_sets", "paper_k", "paper_n"]


def layout(table: PaperTable) -> Table:
    """One row per method and number of images, few images first. A cell has our accuracy and, below it, the paper's."""
    headings = [_heading(dataset, [row.entries[i] for row in table.rows]) for i, dataset in enumerate(table.datasets)]
    by_shots = sorted(table.rows, key=lambda row: float("inf") if row.shots is None else row.shots)
    letters = footnotes(table)
    rows = [
        [row.label, _shots(row.shots), *(_text(entry, letters) for entry in row.entries), _average(row)]
        for row in by_shots
    ]
    return Table(table.title, ["Method", "Images per class", *headings, AVERAGE], rows)


def footnotes(table: PaperTable) -> dict[str, str]:
    """{note on a printed number: its letter}, in the order of the cells."""
    notes = dict.fromkeys(entry.printed.note for entry in table.entries if entry.printed and entry.printed.note)
    return {note: chr(ord("a") + position) for position, note in enumerate(notes)}


def frame(table: PaperTable) -> pd.DataFrame:
    """One row per cell and one per average, with unrounded shares in [0, 1]."""
    rows = pd.DataFrame([record for row in table.rows for record in _records(row)])
    return rows.astype({name: "Int64" for name in COUNTS if name in rows})


def _heading(dataset: str, column: list[Entry]) -> str:
    own = sorted({entry.own.metrics["n"] for entry in column if entry.own})
    printed = sorted({entry.printed.n for entry in column if entry.printed and entry.printed.n})
    counts = "; ".join(f"{who} {_range(n)}" for who, n in (("n", own), ("paper", printed)) if n)
    return f"{dataset}\n{counts}".strip()


def _range(counts: list[int]) -> str:
    return "–".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def _shots(shots: int | None) -> str:
    return "all" if shots is None else str(shots)


def _text(entry: Entry, footnotes: Mapping[str, str]) -> str:
    own = f"{interval(entry.own.accuracy, 100)} {entry.own.marks}".strip() if entry.own else MISSING
    if not entry.printed:
        return f"{own}\npaper –"
    note = f" [{footnotes[entry.printed.note]}]" if entry.printed.note else ""
    return f"{own}\npaper {entry.printed.accuracy:.2f}{entry.printed_mark and ' ' + entry.printed_mark}{note}"


def _average(row: Row) -> str:
    found = sum(entry.own is not None for entry in row.entries)
    own = interval(row.average(), 100) if found else MISSING
    if 0 < found < len(row.entries):
        own += f"\nover {found} of {len(row.entries)} data sets"
    return f"{own}\npaper {f'{row.printed_average.accuracy:.2f}' if row.printed_average else '–'}"


def _records(row: Row) -> Iterable[dict]:
    cell = row.entries[0].cell
    identity = {"method": row.label, "experiment": cell.experiment, "policy": cell.policy, "shots": _shots(row.shots)}
    for entry in row.entries:
        metrics = entry.own.metrics if entry.own else {}
        yield {
            **identity,
            "dataset": entry.cell.dataset,
            "objective": entry.own.evaluation.facts.objective if entry.own else entry.cell.objective,
            "run": entry.own.name if entry.own else None,
            "n": metrics.get("n"),
            **limits("accuracy", entry.own.accuracy if entry.own else None),
            **limits("constant", metrics.get("majority")),
            "marks": entry.own.marks if entry.own else None,
            **_printed(entry.printed),
        }
    yield {
        **identity,
        "dataset": AVERAGE,
        "data_sets": sum(entry.own is not None for entry in row.entries),
        **limits("accuracy", row.average()),
        **_printed(row.printed_average),
    }


def _printed(number: Printed | None) -> dict:
    if number is None:
        return {}
    return {**limits("paper", number.interval()), "paper_k": number.k, "paper_n": number.n, "paper_note": number.note}
