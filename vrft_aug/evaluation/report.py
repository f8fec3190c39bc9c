"""Run folders -> report.md, table.csv, curve.png and a table in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vrft_aug.evaluation.comparison import MARKS, Comparison, compare
from vrft_aug.evaluation.figures import curve
from vrft_aug.evaluation.runs import Training, find
from vrft_aug.evaluation.tables import frame, main_tables, recall_tables, rejection_table

READING = (
    "Value (95 % interval): Wilson for accuracies, bootstrap over groups of images for the rest. "
    "p: McNemar's exact test on the same images, with images gained and lost."
)


def write_report(runs: Sequence[str | Path], out: str | Path, baseline: str | None, console: Console) -> list[Path]:
    """Writes the report of all runs below the folders `runs` into the folder `out`; returns the files written.

    Args:
        baseline: name of the run that the others are compared with; None: the first on each data set.
    Raises:
        InputError: see `find` and `compare`; nothing is written then.
    """
    evaluations, trainings = find(runs)
    comparisons = compare(evaluations, baseline)
    png = curve(trainings)
    missing = _missing(comparisons, trainings, png)
    for table in main_tables(comparisons):
        console.print(table.rich())
    for line in _legend(comparisons) + missing:
        console.print(line, markup=False, highlight=False)
    files = {"report.md": _markdown(comparisons, trainings, png, missing).encode()}
    if comparisons:
        files["table.csv"] = frame(comparisons).to_csv(index=False).encode()
    if png:
        files["curve.png"] = png
    return [_write(Path(out) / name, content) for name, content in files.items()]


def _markdown(
    comparisons: Sequence[Comparison], trainings: Sequence[Training], png: bytes | None, missing: list[str]
) -> str:
    tables = main_tables(comparisons) + recall_tables(comparisons)
    if rejected := rejection_table(comparisons):
        tables.append(rejected)
    parts = ["# Report", *(["## Results", READING, *_legend(comparisons)] if comparisons else [])]
    parts += [table.markdown() for table in tables]
    if png:
        parts += ["## Training", "![training curves](curve.png)"]
        steps = {one.name: one.steps.index for one in trainings}
        parts += ["\n".join(f"- {name}: steps {index.min()} to {index.max()}" for name, index in steps.items())]
    if missing:
        parts += ["## Missing", "\n".join(f"- {line}" for line in missing)]
    return "\n\n".join(parts) + "\n"


def _legend(comparisons: Sequence[Comparison]) -> list[str]:
    used = "".join(one.marks for one in comparisons)
    return [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]


def _missing(comparisons: Sequence[Comparison], trainings: Sequence[Training], png: bytes | None) -> list[str]:
    lines = [note for one in comparisons for note in one.notes]
    if not comparisons:
        lines.append("no evaluation found: no table")
    elif all(one.baseline is None for one in comparisons):
        lines.append("one run a data set: nothing to compare with")
    if not trainings:
        lines.append("no training metrics (metrics.jsonl) found: no curves")
    elif png is None:
        lines.append("the training metrics hold none of the plotted quantities: no curves")
    return lines


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    return unfinished.replace(path)
