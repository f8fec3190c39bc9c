"""Drafts knowledge entries with a vision model: K_c = M(C, I_c) (eq. 3).

The model sees the images nearest to the class's mean thumbnail (representatives.py), as the data set stores them. A
draft is a model's guess until a person has checked it. It gets the state `draft`, the model's name, the date and a
note on its images. Entries in another state never change.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from vrft_aug.data.datasets.image_files import open_image
from vrft_aug.data.knowledge import reading, review
from vrft_aug.data.knowledge.endpoint import Endpoint
from vrft_aug.data.knowledge.representatives import FEATURE, representatives
from vrft_aug.data.preparation.selection import pick, read_index
from vrft_aug.data.prompts import rendering
from vrft_aug.data.settings import Dataset, Load
from vrft_aug.errors import RunFailed


def draft(
    dataset: Dataset, load: Load, endpoint: Endpoint, path: Path, *, images: int, seed: int, redraft: bool
) -> Iterator[str]:
    """Draft an entry for each class without one; with `redraft` also replace drafts. Yields "1/8 basophil", ...

    images: how many training images of a class its request shows, at most; 0 sends none. The file is written after each
    class, so a later run continues an interrupted one.
    """
    empty: dict[str, Any] = {"dataset": dataset.name, "classes": {}, "sources": {}}
    bank = reading.read(path) if path.exists() else empty
    replaceable = [name for name, entry in bank["classes"].items() if entry["review"] == "draft" and redraft]
    todo = [name for name in dataset.classes if name not in bank["classes"] or name in replaceable]
    index = read_index(load("train"), dataset, "label")
    labels = [dataset.classes.index(name) for name in todo]
    shown = representatives(load, index, labels, images, seed)
    for number, (name, label) in enumerate(zip(todo, labels, strict=True), 1):
        pictures = [open_image(image).encoded for sample in pick(load("train"), np.sort(shown[label]))
                    for image in sample.sources()]  # fmt: skip
        facts = {"name": name, "size": len(index.labels), "images": len(pictures)}
        text = rendering.template("draft").render({**asdict(dataset), **facts})
        bank["classes"][name] = ask_for_entry(endpoint, text, pictures) | {
            "sources": [], "review": "draft", "drafted_by": endpoint.model, "drafted_on": review.today(),
            "note": f"Drafted from {len(pictures)} images, the nearest to {FEATURE}.",
        }
        review.save(bank, path, dataset.classes)
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
