"""Run folders -> report.html, report.md, CSV, figures and a table in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vrft_aug.errors import InputError
from vrft_aug.evaluation.report.content import Asked, Content, gather
from vrft_aug.evaluation.report.page.render import IMAGES, render
from vrft_aug.evaluation.report.paper.paper_figures import CAPTIONS
from vrft_aug.evaluation.report.paper.paper_layout import frame as paper_frame
from vrft_aug.evaluation.report.paper.paper_layout import layout
from vrft_aug.evaluation.report.result_tables import READING, frame, main_tables, recall_tables, rejection_table
from vrft_aug.evaluation.report.signs import crossed, sign_table


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    baseline: str | None,
    console: Console,
    asked: Asked | None = None,
    images: int = IMAGES,
) -> list[Path]:
    """Writes the report of all runs below the folders `runs` into the folder `out`; returns the files written.

    Args:
        baseline: name of the run that the others are compared with; None: the first on each data set.
        asked: the table of the paper to fill, if any.
        images: test images a data set in the page's gallery.
    Raises:
        InputError: see `gather`; nothing is written then.
    """
    if images < 0:
        raise InputError(f"gallery={images}: the number of test images a data set is 0 or more")
    content = gather(runs, baseline, asked)
    files = {"report.html": render(content, images), "report.md": _markdown(content).encode(), **content.curves}
    if content.comparisons:
        files["table.csv"] = frame(content.comparisons).to_csv(index=False).encode()
    if content.paper:
        files[f"{content.paper.name}.csv"] = paper_frame(content.paper).to_csv(index=False).encode()
    if content.figure:
        files[f"{content.paper.name}.png"] = content.figure
    _print(content, console)
    return [_write(Path(out) / name, body) for name, body in files.items()]


def _print(content: Content, console: Console) -> None:
    for table in [layout(content.paper)] if content.paper else main_tables(content.comparisons):
        console.print(table.rich())
    for line in content.paper_notes + content.legend + content.missing:
        console.print(line, markup=False, highlight=False)


def _markdown(content: Content) -> str:
    parts = [f"# {content.title}"]
    if content.paper:
        parts += ["## Beside the paper", layout(content.paper).markdown(), _list(content.paper_notes)]
    if content.figure:
        parts += [f"![{CAPTIONS[content.paper.name]}]({content.paper.name}.png)", CAPTIONS[content.paper.name]]
    if content.comparisons:
        tables = main_tables(content.comparisons) + recall_tables(content.comparisons)
        if rejected := rejection_table(content.comparisons):
            tables.append(rejected)
        parts += ["## Results", READING, *content.legend, *(table.markdown() for table in tables)]
    parts += _training(content)
    if content.missing:
        parts += ["## Missing", _list(content.missing)]
    return "\n\n".join(parts) + "\n"


def _training(content: Content) -> list[str]:
    parts = [f"![training curves]({name})" for name in content.curves]
    if content.curves:
        steps = [(one.name, one.dataset, one.steps.index) for one in content.trainings]
        lines = [f"{name}{dataset and ' on ' + dataset}: steps {i.min()} to {i.max()}" for name, dataset, i in steps]
        parts.append(_list(lines))
    if signs := sign_table(content.trainings):
        parts.append(signs.markdown())
        parts += [_list(notes)] if (notes := crossed(signs)) else []
    return ["## Training", *parts] if parts else []


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    return unfinished.replace(path)
