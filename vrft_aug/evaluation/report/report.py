"""Writes a report of run folders: report.html, report.md, CSV and figures; prints its tables in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.content import Asked, Content, gather
from vrft_aug.evaluation.report.markdown import markdown
from vrft_aug.evaluation.report.page.render import IMAGES, render
from vrft_aug.evaluation.report.paper.claims_layout import claims_frame, claims_notes, claims_table
from vrft_aug.evaluation.report.paper.paper_layout import frame as paper_frame
from vrft_aug.evaluation.report.paper.paper_layout import layout
from vrft_aug.evaluation.report.result_tables import frame, main_tables, rejection_table
from vrft_aug.evaluation.report.shown import lines
from vrft_aug.evaluation.report.slice_tables import frames
from vrft_aug.files import write_whole


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    baseline: str | None,
    console: Console,
    asked: Asked | None = None,
    images: int = IMAGES,
) -> list[Path]:
    """Write the report of all runs below the folders `runs` into the folder `out`; return the paths of its files.

    baseline: name of the run that the others are compared with; None: the first run on each data set.
    asked: the paper's table to fill, if any. images: number of test images per data set in the page's gallery.
    Raises InputError for negative `images` and as `gather` does; then nothing is written.
    """
    if images < 0:
        raise InputError(f"gallery={images}: the number of test images per data set must be 0 or more")
    content = gather(runs, baseline, asked)
    files = {"report.html": render(content, images), "report.md": markdown(content).encode(), **content.curves,
             **{one.name: one.png for topic in content.topics for one in topic.drawings}}
    if content.comparisons:
        files["table.csv"] = frame(content.comparisons).to_csv(index=False).encode()
        files |= {name: rows.to_csv(index=False).encode() for name, rows in frames(content.comparisons).items()}
    if content.paper:
        files[f"{content.paper.name}.csv"] = paper_frame(content.paper).to_csv(index=False).encode()
        if content.claims:
            files["claims.csv"] = claims_frame(content.claims).to_csv(index=False).encode()
        if content.figure:
            files[f"{content.paper.name}.png"] = content.figure
    _print(content, console)
    Path(out).mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        write_whole(Path(out) / name, body)
    return [Path(out) / name for name in files]


def _print(content: Content, console: Console) -> None:
    beyond = [table for topic in content.topics for table in topic.tables]
    rejected = filter(None, [rejection_table(content.comparisons)])
    results = [*main_tables(content.comparisons), *beyond, *rejected]
    claims = list(filter(None, [claims_table(content.claims)]))
    for table in [layout(content.paper), *content.further, *claims] if content.paper else results:
        console.print(table.rich())
    notes = content.paper_notes + claims_notes(content.claims) + content.legend
    for line in notes + content.missing + lines(content.comparisons):
        console.print(line, markup=False, highlight=False)
