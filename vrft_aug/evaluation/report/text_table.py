"""Writes a table of texts as Markdown, for the terminal or for the page, and formats the numbers in its cells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.table import Table as RichTable
from rich.text import Text

from vrft_aug.evaluation.metrics.intervals import McNemar, Quantity

Place = tuple[int, int, int]  # row, column, and line of a cell: 0 the first, -1 the last
TERMINAL = {"best": "bold", "second": "underline"}
MARKDOWN = {"best": ("**", "**"), "second": ("<ins>", "</ins>")}  # GitHub underlines <ins> and drops <u>


@dataclass(frozen=True)
class Table:
    """emphasis: "best" (bold) or "second" (underlined) for some lines of cells."""

    title: str
    header: list[str]
    rows: list[list[str]]
    emphasis: Mapping[Place, str] = field(default_factory=dict)

    def lines(self, row: int, column: int) -> list[tuple[str, str]]:
        """Each line of a cell with its emphasis, or ""."""
        texts = self.rows[row][column].split("\n")
        ranks = [self.emphasis.get((row, column, line), "") for line in range(len(texts))]
        ranks[-1] = ranks[-1] or self.emphasis.get((row, column, -1), "")
        return list(zip(texts, ranks, strict=True))

    def markdown(self) -> str:
        numbers = range(len(self.header))
        rows = [[self._markdown_cell(row, column) for column in numbers] for row in range(len(self.rows))]
        lines = [[*map(escaped, self.header)], ["---"] + ["---:"] * (len(self.header) - 1), *rows]
        return "\n".join([f"### {self.title}", "", *("| " + " | ".join(line) + " |" for line in lines)])

    def rich(self) -> RichTable:
        several_lines = "\n" in "".join(map("".join, self.rows))
        table = RichTable(title=Text(self.title), title_justify="left", show_lines=several_lines)
        for position, heading in enumerate(self.header):
            table.add_column(Text(heading), justify="right" if position else "left", overflow="fold")
        for row, cells in enumerate(self.rows):
            table.add_row(*(self._rich_cell(row, column) for column in range(len(cells))))
        return table

    def transposed(self) -> "Table":
        """Rows become columns. Emphasis is not kept."""
        first, *rows = [list(line) for line in zip(self.header, *self.rows, strict=True)]
        return Table(self.title, first, rows)

    def _rich_cell(self, row: int, column: int) -> Text:
        return Text("\n").join(Text(text, style=TERMINAL.get(rank, "")) for text, rank in self.lines(row, column))

    def _markdown_cell(self, row: int, column: int) -> str:
        marks = [(MARKDOWN.get(rank, ("", "")), text) for text, rank in self.lines(row, column)]
        return "<br>".join(f"{start}{escaped(text)}{end}" for (start, end), text in marks)


def escaped(text: str) -> str:
    """A text without a new column, a new line, or HTML from a policy's answer."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text.replace("|", "\\|")).replace("\n", "<br>")


def interval(quantity: Quantity | None, factor: int) -> str:
    """'53.5 (48.6–58.3)' in per cent, '0.38 (0.28–0.48)' otherwise, '–' if there is no such number."""
    if not quantity or (value := quantity["value"]) is None:
        return "–"
    digits, low, high = 1 if factor == 100 else 2, quantity["low"], quantity["high"]
    limits = "" if low is None or high is None else f" ({factor * low:.{digits}f}–{factor * high:.{digits}f})"
    return f"{factor * value:.{digits}f}{limits}"


def spread(quantity: Quantity | None, deviation: float | None, factor: int = 100) -> str:
    """'53.5 ± 2.1 (48.6–58.3)' in per cent; as `interval` without a deviation."""
    text, digits = interval(quantity, factor), 1 if factor == 100 else 2
    return text if deviation is None else text.replace(" (", f" ± {factor * deviation:.{digits}f} (", 1)


def points(share: float | None, digits: int = 1) -> str:
    """A difference of shares in points: '+13.1', '−2.0', '0.0'; '–' if there is none."""
    if share is None:
        return "–"
    text = f"{abs(100 * share):.{digits}f}"
    return text if not float(text) else f"{'+' if share > 0 else '−'}{text}"


def short_p(p: float | None) -> str:
    """' (p 0.013)', to follow a difference; '' without a test."""
    if p is None:
        return ""
    return " (p < 0.001)" if p < 0.001 else f" (p {p:.3f})"


def p_value(test: McNemar | None) -> str:
    """'0.013 (+40 −21)': p, images gained, images lost."""
    if test is None:
        return "–"
    p = "< 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"
    return f"{p} (+{test['only_b']} −{test['only_a']})"


def p_of(test: McNemar | None) -> float | None:
    """The p-value; None without a test."""
    return test["p"] if test else None


def limits(name: str, quantity: Quantity | None) -> dict[str, float | None]:
    """A quantity as three columns: <name>, <name>_low, <name>_high."""
    value, low, high = (quantity["value"], quantity["low"], quantity["high"]) if quantity else (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
