"""Reviews the knowledge bank: lists its drafts, and notes in the file who has accepted an entry."""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vrft_aug.data.knowledge import reading
from vrft_aug.errors import InputError
from vrft_aug.files import write_whole

ALL = "all"  # in place of a class: every entry of the file that nobody has reviewed


class Row(dict):
    """A mapping that is written on one line."""


class Dumper(yaml.SafeDumper):
    """Writes YAML in the bank's form: what is short is on one line, and nothing refers to another line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


MAPPING, SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
Dumper.add_representer(Row, lambda dumper, row: dumper.represent_mapping(MAPPING, row, flow_style=True))
Dumper.add_representer(list, lambda dumper, row: dumper.represent_sequence(SEQUENCE, row, flow_style=True))


def drafts(paths: Sequence[Path]) -> list[str]:
    """The drafts of some bank files: one line per draft, and a last line with the counts. Raises InputError."""
    lines, reviewers = [], [0, 0]
    for path in paths:
        bank = reading.read(path)
        reviewers = [old + new for old, new in zip(reviewers, reading.unreviewed(bank), strict=True)]
        for name, entry in bank["classes"].items():
            if entry["review"] == "draft":
                unread = [key for key in entry["sources"] if not bank["sources"][key]["read"]]
                check = f"; not yet read: {', '.join(unread)}" if unread else ""
                text = reading.entry_text(entry, "both")
                lines.append(f"{bank['dataset']} / {name} ({entry['confidence']}): {text}{check}")
    without, total = reviewers
    return [*lines, f"{len(lines)} of {total} entries are drafts; {without} of {total} have no reviewer"]


def accept(path: Path, name: str, by: str) -> str:
    """Note in the file that `by` has reviewed the class `name` today; `all`: each class that nobody has reviewed.

    Only these entries change, so comments stay; a file of `class: text` becomes a whole bank. Returns a line for the
    person. Raises InputError for an unknown class, an entry with a reviewer, and an empty name.
    """
    bank = reading.read(path)
    names = chosen(bank["classes"], name, path)
    if not by.strip():
        raise InputError("by is empty; name who has reviewed the entry, as by='A. Name'")
    text = path.read_text(encoding="utf-8")
    if reading.is_plain(reading.content(text)):
        text = written(bank)
    for one in names:
        text = signed(text, one, by.strip(), today())
    changed = reading.parse(text, path)
    write_whole(path, text)
    without, total = reading.unreviewed(changed)
    return f"{path}: {', '.join(names)}: reviewed by {by.strip()}; {without} of {total} entries have no reviewer"


def chosen(entries: Mapping[str, Any], name: str, path: Path) -> list[str]:
    """The classes to accept. Raises InputError."""
    if name == ALL and ALL not in entries:
        if names := [one for one, entry in entries.items() if entry["review"] != "expert-reviewed"]:
            return names
        raise InputError(f"{path}: every entry has a reviewer; there is nothing to accept")
    if name not in entries:
        raise InputError(f"{path}: accept={name}: no such class; use one of {', '.join(entries)}, or {ALL}")
    if (entry := entries[name])["review"] == "expert-reviewed":
        raise InputError(f"{path}: {entry['reviewed_by']} reviewed '{name}' on {entry['reviewed_on']}; to review it "
                         "again, set its state to draft in the file, without these two keys")
    return [name]


def signed(text: str, name: str, by: str, on: str) -> str:
    """A bank file's text, in which the entry of `name` is reviewed. It has another state and two keys more."""
    entry = value_of(value_of(yaml.compose(text, reading.Loader), "classes"), name)
    state = value_of(entry, "review")
    separator = ", " if entry.flow_style else "\n" + " " * entry.start_mark.column
    lines = ["expert-reviewed", f"reviewed_by: {json.dumps(by, ensure_ascii=False)}", f'reviewed_on: "{on}"']
    return text[: state.start_mark.index] + separator.join(lines) + text[state.end_mark.index :]


def value_of(mapping: Any, name: str) -> Any:
    """The YAML node under a key of a mapping's node."""
    return next(value for key, value in mapping.value if key.value == name)


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def save(bank: Mapping[str, Any], path: Path, classes: Iterable[str]) -> None:
    """Write the bank, with its entries in the order of the classes."""
    ordered = {name: bank["classes"][name] for name in [*classes, *bank["classes"]] if name in bank["classes"]}
    write_whole(path, written({**bank, "classes": ordered}))


def written(bank: Mapping[str, Any]) -> str:
    """The text of a bank file, in the form of those in bank/."""
    classes = {name: entry | {"attributes": Row(entry["attributes"])} for name, entry in bank["classes"].items()}
    sources = {key: Row(source) for key, source in bank["sources"].items()}
    whole = {**bank, "classes": classes, "sources": sources or Row()}
    return yaml.dump(whole, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
