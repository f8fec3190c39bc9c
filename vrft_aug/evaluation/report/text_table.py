"""Writes a table of texts as Markdown, for the terminal or for the page, and formats the numbers in its cells."""

import re
from dataclasses import dataclass

from rich.table import Table as RichTable
from rich.text import Text

from vrft_aug.evaluation.metrics.intervals import McNemar, Quantity


@dataclass(frozen=True)
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        texts = ["| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines]
        return "\n".join([f"### {self.title}", "", *texts])

    def rich(self) -> RichTable:
        several_lines = "\n" in "".join(map("".join, self.rows))
        table = RichTable(title=Text(self.title), title_justify="left", show_lines=several_lines)
        for position, heading in enumerate(self.header):
            table.add_column(Text(heading), justify="right" if position else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def transposed(self) -> "Table":
        """Rows become columns."""
        first, *rows = [list(line) for line in zip(self.header, *self.rows, strict=True)]
        return Table(self.title, first, rows)


def _markdown_cell(text: str) -> str:
    """One cell, without a new column, a new line, or HTML from a policy's answer."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text.replace("|", "\\|")).replace("\n", "<br>")


def interval(quantity: Quantity | None, factor: int) -> str:
    """'53.5 (48.6–58.3)' in per cent, '0.38 (0.28–0.48)' otherwise, '–' if there is no such number."""
    if not quantity or (value := quantity["value"]) is None:
        return "–"
    digits, low, high = 1 if factor == 100 else 2, quantity["low"], quantity["high"]
    limits = "" if low is None or high is None else f" ({factor * low:.{digits}f}–{factor * high:.{digits}f})"
    return f"{factor * value:.{digits}f}{limits}"


def p_value(test: McNemar | None) -> str:
    """'0.013 (+40 −21)': p, images gained, images lost."""
    if test is None:
        return "–"
    p = "< 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"
    return f"{p} (+{test['only_b']} −{test['only_a']})"


def limits(name: str, quantity: Quantity | None) -> dict[str, float | None]:
    """A quantity as three columns: <name>, <name>_low, <name>_high."""
    value, low, high = (quantity["value"], quantity["low"], quantity["high"]) if quantity else (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
