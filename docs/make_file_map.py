"""Writes the map of every module of the package: its path and the first sentence of its docstring.

    .venv/bin/python docs/make_file_map.py
"""

import ast
import itertools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def page(root: Path) -> str:
    """One table per folder as Markdown."""
    files = [file for folder in ("recipes", "launch", "vrft_aug") for file in sorted((root / folder).rglob("*.py"))]
    found = [(file.relative_to(root), first) for file in files if (first := first_sentence(file))]
    parts = ["## Every module"]
    for folder, group in itertools.groupby(sorted(found), key=lambda entry: entry[0].parent):
        rows = [f"| `{path.name}` | {first} |" for path, first in group]
        parts += [f"### `{folder.as_posix()}`", "\n".join(["| file | |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def first_sentence(file: Path) -> str:
    """The first line of a module's docstring, without the command that may follow; "" where there is none."""
    lines = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()
    return re.sub(r"  .*$", "", lines[0]).replace("|", "\\|").replace("<", "\\<") if lines else ""


if __name__ == "__main__":
    print(page(ROOT), end="")
