"""Draft knowledge entries with a vision model (eq. 3), and list what still is a draft.

A draft is a model's guess until a person has checked it: it is written with state `draft`, the model's name and the
date. Entries in another state are never touched.
"""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import yaml

from vrft_aug.data.knowledge import reading
from vrft_aug.data.knowledge.endpoint import Endpoint
from vrft_aug.data.preparation.selection import Load, pick, read_index
from vrft_aug.data.prompts import rendering
from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError, RunFailed


def draft(
    dataset: Mapping[str, Any], load: Load, endpoint: Endpoint, path: Path, *, images: int, seed: int, redraft: bool
) -> Iterator[str]:
    """Draft the classes that lack an entry, or with `redraft` those whose entry is a draft; yields "1/8 basophil", ...

    images: at most so many of a class's training images go with its request. The file is written after each class, so
    a run that breaks off goes on where it was.
    """
    bank = reading.read(path) if path.exists() else {"dataset": dataset["name"], "classes": {}, "sources": {}}
    todo = [name for name in dataset["classes"] if open_to_draft(bank["classes"].get(name), redraft)]
    index = read_index(load("train"), dataset, dataset["task"])
    for number, name in enumerate(todo, 1):
        members = np.flatnonzero(index.labels == dataset["classes"].index(name))
        chosen = np.sort(generator(seed, f"draft {name}").permutation(members)[:images])
        pictures = [sample.open().encoded for sample in pick(load("train"), chosen)]
        facts = {"name": name, "size": len(index.labels), "images": len(pictures)}
        text = rendering.template("draft").render({**dataset, **facts})
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        bank["classes"][name] = ask_for_entry(endpoint, text, pictures) | {
            "sources": [], "review": "draft", "drafted_by": endpoint.model, "drafted_on": today,
        }
        save(bank, path, dataset["classes"])
        yield f"{number}/{len(todo)} {name}"


def open_to_draft(entry: Mapping[str, Any] | None, redraft: bool) -> bool:
    """May this entry be written anew? Never once somebody has reviewed it."""
    return entry is None or (redraft and entry["review"] == "draft")


def ask_for_entry(endpoint: Endpoint, text: str, pictures: Sequence[bytes], tries: int = 3) -> dict[str, Any]:
    """Ask until the answer is an entry of the bank's form."""
    shape = reading.schema()["properties"]["classes"]["additionalProperties"]
    shape = shape | {"required": ["description", "attributes", "confidence"]}
    for _ in range(tries):
        answer = endpoint.ask(text, pictures)
        try:
            entry = json.loads(answer[answer.index("{") : answer.rindex("}") + 1])
            jsonschema.validate(entry, shape)
            return {key: entry[key] for key in ("description", "attributes", "confidence")}
        except (ValueError, jsonschema.ValidationError) as error:
            reason = str(error).splitlines()[0]
    raise RunFailed(f"{endpoint.model}: no usable entry in {tries} answers, the last: {reason}; try another model")


def save(bank: Mapping[str, Any], path: Path, classes: Sequence[str]) -> None:
    """Write the bank in the order of the classes, through a temporary name."""
    ordered = {name: bank["classes"][name] for name in [*classes, *bank["classes"]] if name in bank["classes"]}
    text = yaml.safe_dump({**bank, "classes": ordered}, sort_keys=False, allow_unicode=True, width=120)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def review(folder: Path = reading.BANK) -> list[str]:
    """One line for every entry that still is a draft, and a last line with the count."""
    lines, total = [], 0
    for path in sorted(folder.glob("*.yaml")):
        bank = reading.read(path)
        total += len(bank["classes"])
        for name, entry in bank["classes"].items():
            if entry["review"] == "draft":
                unread = [key for key in entry["sources"] if not bank["sources"][key]["read"]]
                check = f"; not yet read: {', '.join(unread)}" if unread else ""
                lines.append(f"{bank['dataset']} / {name} ({entry['confidence']}): {entry['description']}{check}")
    if not total:
        raise InputError(f"{folder}: no knowledge files there")
    return [*lines, f"{len(lines)} of {total} entries are drafts"]
