"""A table of texts, for Markdown, the terminal and the page; how numbers are written in its cells."""

import re
from dataclasses import dataclass

from rich.table import Table as RichTable
from rich.text import Text


@dataclass(frozen=True)
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        return f"### {self.title}\n\n" + "\n".join(
            "| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines
        )

    def rich(self) -> RichTable:
        table = RichTable(
            title=Text(self.title), title_justify="left", show_lines="\n" in "".join(map("".join, self.rows))
        )
        for position, heading in enumerate(self.header):
            table.add_column(Text(heading), justify="right" if position else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def transposed(self) -> "Table":
        """A row a run instead of a column a run."""
        first, *rows = [list(line) for line in zip(self.header, *self.rows, strict=True)]
        return Table(self.title, first, rows)


def _markdown_cell(text: str) -> str:
    """One cell: no new column, no new line, and no HTML from what a policy answered."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text.replace("|", "\\|")).replace("\n", "<br>")


def interval(quantity: dict | None, factor: int) -> str:
    """'53.5 (48.6–58.3)' in per cent, '0.38 (0.28–0.48)' otherwise, '–' when there is no such number."""
    if not quantity or quantity["value"] is None:
        return "–"
    digits = 1 if factor == 100 else 2
    value, low, high = (None if quantity[key] is None else factor * quantity[key] for key in ("value", "low", "high"))
    limits = "" if low is None else f" ({low:.{digits}f}–{high:.{digits}f})"
    return f"{value:.{digits}f}{limits}"


def p_value(test: dict | None) -> str:
    """'0.013 (+40 −21)': p, images gained, images lost."""
    if test is None:
        return "–"
    p = "< 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"
    return f"{p} (+{test['only_b']} −{test['only_a']})"


def limits(name: str, quantity: dict | None) -> dict[str, float | None]:
    """A quantity as three columns: <name>, <name>_low, <name>_high."""
    quantity = quantity or {}
    return {name: quantity.get("value"), f"{name}_low": quantity.get("low"), f"{name}_high": quantity.get("high")}
