"""Says how to read a table of the paper: its numbers, its marks, and what the runs in it had."""

from collections.abc import Callable, Iterable, Sequence

from vrft_aug.evaluation.report.paper.paper_gains import gains
from vrft_aug.evaluation.report.paper.paper_rows import Row
from vrft_aug.evaluation.report.provenance import KNOWLEDGE, LABELS, TOKENS, knowledge_text, labels_text, tokens_text
from vrft_aug.evaluation.runs import Facts
from vrft_aug.experiments.cells import Table

RANKS = (
    "Bold: the best of the trained rows with the same number of images per class; underlined: the second best. "
    "Neither means that the difference is significant."
)
FEW = 5  # with more seeds, all agree in their sign by chance in fewer than 5 % of the cases
GAINS = (
    "Δ: points above V-RFT with the same number of images, as in the paper; V-RFT is not always the best baseline. "
    "p: McNemar's exact test on the same images. The paper prints Δ in Table 1; elsewhere it is the difference of its "
    "numbers."
)
SEEDS = (
    "mean ± standard deviation over seeds, which draw the training images and train; the test images are the same. "
    "Interval, and p of Δ: bootstrap over seeds and groups of images together (Owen 2007). A policy that is not "
    "trained answers greedily, so its one run counts for every seed. §, ¶: in a seed at least."
)


def reading(rows: Sequence[Row], in_paper: bool, table: Table) -> Iterable[str]:
    """One line per remark; in_paper: the paper has this table."""
    cells = [entry.cell for row in rows for entry in row.entries]
    policies = " and ".join(dict.fromkeys(cell.policy for cell in cells))
    ours = f"Accuracy in per cent with its 95 % interval; n: number of test images. Policy: {policies}."
    papers = " The number below it is the paper's, for Qwen2.5-VL-3B (7B in the row of the larger policy)."
    yield ours + (papers if in_paper else "")
    if table.several:
        yield f"Seeds {', '.join(map(str, table.cell_seeds))}: {SEEDS} {few(len(table.cell_seeds))}".rstrip()
    yield RANKS
    if any(gains(row, rows) for row in rows):
        yield GAINS
    objectives: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for cell in (entry.cell for entry in row.entries):
            if cell.objective:
                objectives.setdefault((cell.dataset, cell.objective), []).append(row.label)
    for (dataset, objective), labels in objectives.items():
        yield f"{dataset}: objective={objective} in {', '.join(dict.fromkeys(labels))}"
    yield from _provenance(rows)


def few(seeds: int) -> str:
    """What a number of seeds cannot show; "" if there are enough."""
    if seeds == 1:
        return "One seed: intervals and p are over images alone, and say nothing about another training."
    if seeds > FEW:
        return ""
    return (f"{seeds} seeds say little about the spread over seeds: even without an effect, all agree in their sign in "
            f"{100 * 2 ** (1 - seeds):.0f} % of the cases.")  # fmt: skip


def _provenance(rows: Sequence[Row]) -> Iterable[str]:
    """Labels used, visual tokens and unreviewed knowledge, each in one line for all data sets."""
    for shots in dict.fromkeys(row.shots for row in rows):
        like = [row for row in rows if row.shots == shots]
        yield from _line(f"{LABELS}, {_shots(shots)}", like, labels_text)
    yield from _line(TOKENS, rows, tokens_text)
    yield from _line(KNOWLEDGE, rows, knowledge_text)


def _line(heading: str, rows: Sequence[Row], text: Callable[[Facts], str]) -> Iterable[str]:
    found: dict[str, dict[str, None]] = {}
    for entry in (entry for row in rows for entry in row.entries):
        if entry.facts and (one := text(entry.facts)):
            found.setdefault(entry.cell.dataset, {})[one] = None
    if found:
        yield f"{heading}: " + "; ".join(f"{dataset} {' or '.join(texts)}" for dataset, texts in found.items())


def _shots(shots: int | None) -> str:
    return "all training images" if shots is None else f"{shots} images per class"
