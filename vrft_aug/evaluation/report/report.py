"""Writes a report of run folders: report.html, report.md, CSV and figures; prints its tables in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.content import Asked, Content, gather
from vrft_aug.evaluation.report.page.render import IMAGES, render
from vrft_aug.evaluation.report.paper.claims_layout import claims_frame, claims_notes, claims_table
from vrft_aug.evaluation.report.paper.paper_figures import CAPTIONS
from vrft_aug.evaluation.report.paper.paper_layout import frame as paper_frame
from vrft_aug.evaluation.report.paper.paper_layout import layout
from vrft_aug.evaluation.report.provenance import training_line
from vrft_aug.evaluation.report.result_tables import READING, all_tables, frame, main_tables, rejection_table
from vrft_aug.evaluation.report.signs import explained, sign_table
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
    files = {"report.html": render(content, images), "report.md": _markdown(content).encode(), **content.curves}
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
    results = [*main_tables(content.comparisons), *filter(None, [rejection_table(content.comparisons)])]
    claims = list(filter(None, [claims_table(content.claims)]))
    for table in [layout(content.paper), *claims] if content.paper else results:
        console.print(table.rich())
    for line in content.paper_notes + claims_notes(content.claims) + content.legend + content.missing:
        console.print(line, markup=False, highlight=False)


def _markdown(content: Content) -> str:
    parts = [f"# {content.title}"]
    if content.paper:
        parts += [f"## {content.paper.heading}", layout(content.paper).markdown(), _list(content.paper_notes)]
        if content.figure:
            caption = CAPTIONS[content.paper.name]
            parts += [f"![{caption}]({content.paper.name}.png)", caption]
    if claims := claims_table(content.claims):
        parts += ["## Claims", claims.markdown(), _list(claims_notes(content.claims))]
    if content.comparisons:
        tables = [table.markdown() for table in all_tables(content.comparisons)]
        parts += ["## Results", READING, *content.legend, *tables]
    parts += _training(content)
    if content.missing:
        parts += ["## Missing", _list(content.missing)]
    return "\n\n".join(parts) + "\n"


def _training(content: Content) -> list[str]:
    parts = [f"![training curves]({name})" for name in content.curves]
    if content.curves:
        parts.append(_list([training_line(one) for one in content.trainings]))
    if signs := sign_table(content.trainings):
        parts += [signs.markdown(), _list(explained(signs))]
    return ["## Training", *parts] if parts else []


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
