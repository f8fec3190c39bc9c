"""Reads the items of a checklist from its YAML file: number, topic, and who can answer it."""

from dataclasses import dataclass
from pathlib import Path

import yaml

AUTHOR = "author"  # `fill` of an item that no run can answer


@dataclass(frozen=True)
class Item:
    """numbers: one per edition of the checklist, "" where that edition has no such item. topic: in our own words.

    fill: a function of `checklist_sheet.FILLERS`, or AUTHOR. author: what a person must add; "" for nothing.
    """

    section: str
    numbers: tuple[str, ...]
    topic: str
    fill: str
    author: str


@dataclass(frozen=True)
class Checklist:
    title: str
    editions: tuple[str, ...]
    sources: tuple[str, ...]
    items: tuple[Item, ...]


def read(name: str) -> Checklist:
    """The checklist of the file `<name>.yaml` beside this module."""
    tree = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    items = tuple(Item(section, tuple(one["numbers"]), one["topic"], one["fill"], one["author"])
                  for section, group in tree["sections"].items() for one in group)  # fmt: skip
    return Checklist(tree["title"], tuple(tree["editions"]), tuple(tree["sources"]), items)
