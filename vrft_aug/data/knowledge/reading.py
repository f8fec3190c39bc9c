"""Reads the knowledge bank K_c (eq. 3), which says what tells classes apart, and lists its drafts.

There is one file per data set, bank/<name>.yaml. Every entry has its sources, a confidence and a review state. A
physician has reviewed only the entries with the state `expert-reviewed`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from vrft_aug.data.settings import Dataset
from vrft_aug.errors import InputError

FOLDER = Path(__file__).parent
BANK = FOLDER / "bank"
SCHEMA = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))  # of a bank file
REVIEW_STATES = ("draft", "literature-checked", "expert-reviewed")


def read(path: Path) -> dict[str, Any]:
    """Read and check a bank file. Raises InputError with the file and the entry."""
    try:
        bank = yaml.safe_load(path.read_text(encoding="utf-8"))
        jsonschema.validate(bank, SCHEMA)
    except FileNotFoundError:
        raise InputError(f"{path}: no knowledge file; write one, draft it with recipes/knowledge.py, or use "
                         "prompt=names") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({error}); correct the file") from None
    except jsonschema.ValidationError as error:
        raise InputError(f"{path}: {error.json_path}: {error.message}; correct the entry") from None
    for name, entry in bank["classes"].items():
        if unknown := sorted(set(entry["sources"]) - set(bank["sources"])):
            raise InputError(f"{path}: class '{name}' cites {', '.join(unknown)}, not listed under sources; add it")
    return bank


def read_for(dataset: Dataset) -> dict[str, Any]:
    """The bank of a data set. Raises InputError unless its entries are exactly the data set's classes."""
    path, classes = path_of(dataset), dataset.classes
    content = read(path)
    bank = content["classes"]
    if missing := [name for name in classes if name not in bank]:
        raise InputError(f"{path}: no entry for class '{missing[0]}' ({len(missing)} missing); add it or use "
                         "prompt=names")
    if unknown := [name for name in bank if name not in classes]:
        raise InputError(f"{path}: entry for '{unknown[0]}', which is not a class; remove or rename it")
    return content


def path_of(dataset: Dataset) -> Path:
    """The knowledge file of a data set: the path under its key `knowledge`, otherwise the bank's file of its name."""
    return Path(dataset.knowledge or BANK / f"{dataset.name}.yaml")


def review_states(bank: Mapping[str, Any]) -> dict[str, int]:
    """Number of entries in each review state."""
    states = [entry["review"] for entry in bank["classes"].values()]
    return {state: states.count(state) for state in REVIEW_STATES}


def review(folder: Path = BANK) -> list[str]:
    """The drafts to review: one line per draft, and a last line with the count.

    Raises InputError if the folder has no knowledge files.
    """
    lines, total = [], 0
    for path in sorted(folder.glob("*.yaml")):
        bank = read(path)
        total += len(bank["classes"])
        for name, entry in bank["classes"].items():
            if entry["review"] == "draft":
                unread = [key for key in entry["sources"] if not bank["sources"][key]["read"]]
                check = f"; not yet read: {', '.join(unread)}" if unread else ""
                lines.append(f"{bank['dataset']} / {name} ({entry['confidence']}): {entry['description']}{check}")
    if not total:
        raise InputError(f"{folder}: no knowledge files; name another folder")
    return [*lines, f"{len(lines)} of {total} entries are drafts"]
