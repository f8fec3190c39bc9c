"""Drafts knowledge entries with a vision model: K_c = M(C, I_c) (eq. 3).

A draft is a model's guess until a person has checked it. It gets the state `draft`, the model's name and the date.
Entries in another state never change.
"""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import yaml

from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.knowledge import reading
from vrft_aug.data.knowledge.endpoint import Endpoint
from vrft_aug.data.preparation.selection import pick, read_index
from vrft_aug.data.prompts import rendering
from vrft_aug.data.seeding import generator
from vrft_aug.data.settings import Dataset, Load
from vrft_aug.errors import RunFailed
from vrft_aug.files import write_whole


def draft(
    dataset: Dataset, load: Load, endpoint: Endpoint, path: Path, *, images: int, seed: int, redraft: bool
) -> Iterator[str]:
    """Draft an entry for each class without one; with `redraft` also replace drafts. Yields "1/8 basophil", ...

    images: how many training images of a class its request shows, at most. The file is written after each class, so
    a later run continues an interrupted one.
    """
    empty: dict[str, Any] = {"dataset": dataset.name, "classes": {}, "sources": {}}
    bank = reading.read(path) if path.exists() else empty
    replaceable = [name for name, entry in bank["classes"].items() if entry["review"] == "draft" and redraft]
    todo = [name for name in dataset.classes if name not in bank["classes"] or name in replaceable]
    index = read_index(load("train"), dataset, dataset.task)
    for number, name in enumerate(todo, 1):
        members = np.flatnonzero(index.labels == dataset.classes.index(name))
        chosen = np.sort(generator(seed, f"draft {name}").permutation(members)[:images])
        pictures = [open_image(sample.source()).encoded for sample in pick(load("train"), chosen)]
        facts = {"name": name, "size": len(index.labels), "images": len(pictures)}
        text = rendering.template("draft").render({**asdict(dataset), **facts})
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        bank["classes"][name] = ask_for_entry(endpoint, text, pictures) | {
            "sources": [], "review": "draft", "drafted_by": endpoint.model, "drafted_on": today,
        }
        save(bank, path, dataset.classes)
        yield f"{number}/{len(todo)} {name}"


def ask_for_entry(endpoint: Endpoint, text: str, pictures: Sequence[bytes], tries: int = 3) -> dict[str, Any]:
    """Ask until the answer is an entry that fits the bank's schema. Raises RunFailed after `tries` other answers."""
    shape = reading.SCHEMA["properties"]["classes"]["additionalProperties"]
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
    """Write the bank, with its entries in the order of the classes."""
    ordered = {name: bank["classes"][name] for name in [*classes, *bank["classes"]] if name in bank["classes"]}
    write_whole(path, yaml.safe_dump({**bank, "classes": ordered}, sort_keys=False, allow_unicode=True, width=120))
