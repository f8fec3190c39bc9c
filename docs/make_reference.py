"""Writes the configuration reference: every config group, its choices, their keys, defaults and comments in conf/.

    .venv/bin/python docs/make_reference.py > reference.md
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CONF = Path(__file__).resolve().parents[1] / "conf"
INTRODUCTION = """# Configuration reference

This page is generated from the comments in `conf/` when the site is built. `make docs` builds it again.

A recipe composes its root file with one choice per group. `dataset=retina` chooses a file of a group, `dataset.name=x`
sets one key, and the command line wins over every file. A key that belongs to verl is explained in verl's own
documentation. `${...}` takes the value of another key.
"""
GROUPS = {
    "dataset": "The images, their classes and how to load them.",
    "prompt": "What the policy is asked.",
    "objective": "The rewards and their weights, per task.",
    "policy": "Facts about a model.",
    "variant": "The algorithm: GRPO as in the paper, or a later variant of it.",
    "schedule": "Steps, batches and learning rates.",
    "hardware": "The machine: devices, memory, Ray and vLLM.",
    "experiment": "One method of the paper: what differs from the defaults. Each file is also a make target.",
    "preset": "Settings for a special occasion, applied after the experiment.",
    "table": "A table or figure of the paper: which experiments run on which data sets.",
}


@dataclass(frozen=True)
class Key:
    """One leaf of a YAML file: its dotted name, its value as written, and the comment beside or above it."""

    name: str
    value: str
    comment: str


def page(conf: Path) -> str:
    """The whole reference as Markdown."""
    folders = sorted({file.parent for file in conf.glob("*/**/*.yaml")}, key=lambda folder: _place(conf, folder))
    parts = [INTRODUCTION, "## Recipes", "One root file per recipe of `recipes/`, and what the root files share."]
    parts += [part for file in sorted(conf.glob("*.yaml")) for part in section(file)]
    for folder in folders:
        name = folder.relative_to(conf).as_posix()
        parts += [f"## {name}", GROUPS.get(name, "")]
        parts += [part for file in sorted(folder.glob("*.yaml")) for part in section(file)]
    return "\n\n".join(filter(None, parts)) + "\n"


def section(file: Path) -> Iterator[str]:
    """The heading, the comment at the top and the table of keys of one file."""
    text = file.read_text(encoding="utf-8")
    found = keys(text)
    yield f"### {file.stem} {{ #{file.parent.name}-{file.stem} }}"
    yield _header(text) or next((key.value for key in found if key.name == "title"), "")
    if found:
        rows = [f"| `{key.name}` | {_code(key.value)} | {_text(key.comment)} |" for key in found]
        yield "\n".join(["| key | default | |", "|---|---|---|", *rows])


def keys(text: str) -> list[Key]:
    """The leaves of a YAML file, in its order; `defaults` (Hydra's list of files) is one leaf."""
    root = yaml.compose(text, yaml.SafeLoader)
    lines = text.splitlines()
    return list(_leaves(root, "", lines, {})) if isinstance(root, yaml.MappingNode) else []


def _leaves(node: yaml.MappingNode, prefix: str, lines: list[str], seen: dict[int, str]) -> Iterator[Key]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        comment = _comment(lines, key, value if isinstance(value, yaml.ScalarNode) or value.flow_style else key)
        if id(value) in seen:
            yield Key(name, f"as {seen[id(value)]}", comment)
        elif key.value == "hydra":  # where Hydra itself writes, which nobody needs to set
            continue
        elif isinstance(value, yaml.MappingNode) and not value.flow_style:
            seen[id(value)] = name
            if comment:
                yield Key(name, "", comment)
            yield from _leaves(value, f"{name}.", lines, seen)
        else:
            seen[id(value)] = name
            yield Key(name, _source(lines, value), comment)


def _source(lines: list[str], node: yaml.Node) -> str:
    """The value as the file writes it; a block list on one line."""
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return ", ".join(item for item in (_source(lines, one) for one in node.value) if "override hydra/" not in item)
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return ", ".join(f"{key.value}: {_source(lines, value)}" for key, value in node.value)
    start, end = node.start_mark, node.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column].strip()
    whole = [lines[start.line][start.column :], *lines[start.line + 1 : end.line], lines[end.line][: end.column]]
    return " ".join(line.strip() for line in whole).strip()


def _comment(lines: list[str], key: yaml.Node, last: yaml.Node) -> str:
    """The comment lines directly above a key, at its indent, and the comment beside it with its continuation."""
    above: list[str] = []
    line = key.start_mark.line - 1
    while line >= 0 and lines[line].startswith(" " * key.start_mark.column + "#"):
        above.insert(0, lines[line].strip("# "))
        line -= 1
    if line < 0:  # the comment of the file, not of the key
        above = []
    row, column = last.end_mark.line, last.end_mark.column
    if not (found := re.search(r"(?:^|\s)#\s*(.*)", lines[row][column:])):
        return " ".join(above)
    indent = lines[row].index("#", column + found.start())
    rest = itertools.takewhile(lambda text: text.startswith(" " * indent + "#"), lines[row + 1 :])
    return " ".join([*above, found[1], *(text.strip("# ") for text in rest)])


def _header(text: str) -> str:
    """The comment at the top of a file; its indented lines are commands."""
    parts: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if line.startswith("#   "):
            parts.append(f"\n\n    {line[1:].strip()}\n\n")
        elif not line.startswith("# @package"):
            parts.append(_text(line[1:]))
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).strip()


def _place(conf: Path, folder: Path) -> tuple[int, str]:
    name = folder.relative_to(conf).as_posix()
    return list(GROUPS).index(name) if name in GROUPS else len(GROUPS), name


def _code(value: str) -> str:
    return f"`{value.replace('|', chr(92) + '|')}`" if value else ""


def _text(comment: str) -> str:
    """A comment as Markdown that shows every character."""
    return re.sub(r"([|*<\[\]])", r"\\\1", comment)


if __name__ == "__main__":
    print(page(CONF), end="")
