"""Lays out a filled table of the paper: as a table to read and as rows for CSV."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from vrft_aug.evaluation.report import regression
from vrft_aug.evaluation.report.paper.paper_gains import OURS, PAPERS, Gains, emphasis, gains
from vrft_aug.evaluation.report.paper.paper_numbers import AVERAGE, Printed
from vrft_aug.evaluation.report.paper.paper_rows import Entry, PaperTable, Row
from vrft_aug.evaluation.report.text_table import Place, Table, limits, points, short_p, spread

MISSING = "no run"
UNPRINTED = "\npaper –"
DELTA = "Δ, against V-RFT"  # tables.js keeps a row that begins with Δ below its method
COUNTS = ["n", "seeds", "data_sets", "paper_k", "paper_n"]
Letters = Mapping[str, str]  # remark on a printed number -> the letter of its footnote


def layout(table: PaperTable) -> Table:
    """One row per method and number of images, few images first, and below it its Δ row.

    A cell has our number, below it that of our thoughts if findings are known, and below it the paper's, unless the
    paper has no such table. The last rows are the opponents of the runs.
    """
    headings = [_heading(dataset, [row.entries[i] for row in table.rows]) for i, dataset in enumerate(table.datasets)]
    by_shots = sorted(table.rows, key=lambda row: float("inf") if row.shots is None else row.shots)
    ranked, letters = emphasis(by_shots), footnotes(table)
    rows: list[list[str]] = []
    places: dict[Place, str] = {}
    for number, row in enumerate(by_shots):
        own = {(column, line): rank for (other, column, line), rank in ranked.items() if other == number}
        places |= {(len(rows), column + 2, line): rank for (column, line), rank in own.items()}
        rows.append(_row(row, letters))
        if found := gains(row, by_shots):
            rows.append(_delta_row(found, letters))
    runs = [run for entry in table.entries for run in entry.runs if run]
    rows += regression.paper_rows(runs, table.datasets)
    if not table.in_paper:
        rows = [[text.removesuffix(UNPRINTED) for text in row] for row in rows]
    return Table(table.title, ["Method", "Images per class", *headings, AVERAGE], rows, places)


def footnotes(table: PaperTable) -> dict[str, str]:
    """{remark on a printed number: its letter}, in the order of the cells."""
    of_averages = [remark for row in table.rows for remark in row.average_remarks]
    notes = dict.fromkeys([*(remark for entry in table.entries for remark in entry.remarks), *of_averages])
    return {note: chr(ord("a") + position) for position, note in enumerate(notes)}


def frame(table: PaperTable) -> pd.DataFrame:
    """One row per cell and one per average, with unrounded shares in [0, 1]."""
    ranked = emphasis(table.rows)
    rows = pd.DataFrame([
        record | {"rank": ranked.get((number, column, OURS)), "paper_rank": ranked.get((number, column, PAPERS))}
        for number, row in enumerate(table.rows)
        for column, record in enumerate(_records(row, gains(row, table.rows)))
    ])  # fmt: skip
    return rows.astype({name: "Int64" for name in COUNTS if name in rows})


def _heading(dataset: str, column: list[Entry]) -> str:
    own = sorted({entry.own.metrics["n"] for entry in column if entry.own})
    printed = sorted({entry.printed.n for entry in column if entry.printed and entry.printed.n})
    counts = "; ".join(f"{who} {_range(n)}" for who, n in (("n", own), ("paper", printed)) if n)
    return f"{dataset}\n{counts}".strip()


def _range(counts: list[int]) -> str:
    return "–".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def shots_text(shots: int | None) -> str:
    """Training images per class as a text."""
    return "all" if shots is None else str(shots)


def _row(row: Row, letters: Letters) -> list[str]:
    average = spread(row.average(), row.deviation()) if row.found else MISSING
    printed = f"{row.printed_average.accuracy:.2f}" if row.printed_average else None
    average = _cell(average + _over(row.found, row), printed, row.average_remarks, letters)
    return [row.heading, shots_text(row.shots), *(_text(entry, letters) for entry in row.entries), average]


def _text(entry: Entry, letters: Letters) -> str:
    deviation = entry.spread and entry.spread.deviation
    missing = MISSING if entry.asked else "–"
    own = f"{spread(entry.accuracy, deviation)} {entry.marks}".strip() if entry.own else missing
    own += "" if entry.thought is None else f"\nthought {100 * entry.thought:.1f}"
    printed = f"{entry.printed.accuracy:.2f} {entry.printed_mark}".strip() if entry.printed else None
    return _cell(own, printed, entry.remarks, letters)


def _delta_row(found: Gains, letters: Letters) -> list[str]:
    cells = [
        _cell(points(one.own) + short_p(one.p), _printed_points(one.printed), [entry.other_test_set], letters)
        for one, entry in zip(found.entries, found.row.entries, strict=True)
    ]
    own = points(found.average) + _over(len(found.found), found.row)
    average = _cell(own, _printed_points(found.printed_average), found.row.average_remarks, letters)
    return [DELTA, shots_text(found.row.shots), *cells, average]


def _printed_points(gain: float | None) -> str | None:
    return None if gain is None else points(gain, digits=2)


def _cell(own: str, printed: str | None, remarks: Sequence[str], letters: Letters) -> str:
    """Our number and, in the last line, the paper's with the letters of its footnotes."""
    marks = "".join(f" [{letters[remark]}]" for remark in dict.fromkeys(remarks) if remark)
    return f"{own}\npaper {printed}{marks}" if printed else own + UNPRINTED


def _over(found: int, row: Row) -> str:
    return f"\nover {found} of {len(row.entries)} data sets" if 0 < found < len(row.entries) else ""


def _records(row: Row, found: Gains | None) -> Iterable[dict]:
    cell, shots = row.cell, shots_text(row.shots)
    identity = {"method": row.label, "experiment": cell.experiment, "policy": cell.policy, "shots": shots}
    for position, entry in enumerate(row.entries):
        metrics = entry.own.metrics if entry.own else {}
        gain = found.entries[position] if found else None
        yield {
            **identity,
            "dataset": entry.cell.dataset,
            "objective": entry.facts.objective if entry.facts else entry.cell.objective,
            "variant": entry.facts.variant if entry.facts else entry.cell.variant,
            "prompt": entry.facts.prompt if entry.facts else None,
            "run": entry.own.name if entry.own else None,
            "n": metrics.get("n"),
            **limits("accuracy", entry.accuracy),
            **_seeds(entry),
            **({} if entry.thought is None else {"thought_accuracy": entry.thought}),
            **limits("constant", metrics.get("majority")),
            **(regression.columns(entry.own) if entry.own else {}),
            "marks": entry.marks if entry.own else None,
            "delta": gain and gain.own,
            "delta_p": gain and gain.p,
            **_printed(entry.printed, entry.remarks),
            "paper_delta": gain and gain.printed,
        }
    yield {
        **identity,
        "dataset": AVERAGE,
        "data_sets": row.found,
        **limits("accuracy", row.average()),
        **({"deviation": row.deviation()} if len(row.entries[0].runs) > 1 else {}),
        "delta": found and found.average,
        **_printed(row.printed_average, row.average_remarks),
        "paper_delta": found and found.printed_average,
    }


def _seeds(entry: Entry) -> dict:
    """The columns that only a table with several seeds has."""
    if len(entry.runs) == 1:
        return {}
    deviation = entry.spread.deviation if entry.spread else None
    return {"seeds": sum(one is not None for one in entry.runs), "deviation": deviation}


def _printed(number: Printed | None, remarks: Sequence[str]) -> dict:
    if number is None:
        return {}
    counts = {"paper_k": number.k, "paper_n": number.n}
    return {**limits("paper", number.interval()), **counts, "paper_note": "; ".join(remarks)}
