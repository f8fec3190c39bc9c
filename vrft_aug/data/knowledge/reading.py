"""Reads the knowledge bank K_c (eq. 3), which says what tells classes apart, and makes the prompt's texts of it.

There is one file per data set, bank/<name>.yaml. Every entry has its sources, a confidence and a review state. A
physician has reviewed only the entries with the state `expert-reviewed`. A user's own file may be shorter: one line
`class: text` per class. A data set may have such lines in its config instead, as the phantoms do, whose knowledge is
drawn with their diseases.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from vrft_aug.data.settings import Dataset
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import QUESTION

FOLDER = Path(__file__).parent
BANK = FOLDER / "bank"
SCHEMA = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))  # of a bank file
REVIEW_STATES = ("draft", "literature-checked", "expert-reviewed")
ATTRIBUTES = ("color", "shape", "texture", "location")  # in the prompt's order


class Loader(yaml.SafeLoader):
    """YAML in which all is text but true, false and null: the class 0, the class `no` and a date need no quotes."""


Loader.yaml_implicit_resolvers = {}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("(true|false)$"), ["t", "f"])
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("(null|~|)$"), ["n", "~", ""])


def content(text: str) -> Any:
    """What a YAML text holds, read as `Loader` says."""
    return Loader(text).get_single_data()


def read(path: Path) -> dict[str, Any]:
    """Read and check a bank file. Raises InputError with the file and the entry."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise InputError(f"{path.absolute()}: no knowledge file; write one, draft it with recipes/knowledge.py, or use "
                         "prompt=names (dataset.knowledge is a path from the folder where the command runs)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable text file ({error}); correct the path or the file") from None


def parse(text: str, path: Path) -> dict[str, Any]:
    """The bank that the text of a file holds. Raises InputError with the file and the entry."""
    try:
        bank = content(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({error}); correct the file") from None
    return checked(plain_bank(path.stem, bank) if is_plain(bank) else bank, str(path))


def checked(bank: Any, where: str) -> dict[str, Any]:
    """The same bank. Raises InputError, with `where` it is written and the entry, unless it has the form of a bank."""
    try:
        jsonschema.validate(bank, SCHEMA)
    except jsonschema.ValidationError as error:
        remedy = "correct the entry"
        if not (isinstance(bank, dict) and "classes" in bank):
            remedy = "write one line per class, as 'nodule: a round bright spot', or all keys of a file in the bank"
        raise InputError(f"{where}: {error.json_path}: {error.message}; {remedy}") from None
    for name, entry in bank["classes"].items():
        if unknown := sorted(set(entry["sources"]) - set(bank["sources"])):
            raise InputError(f"{where}: class '{name}' cites {', '.join(unknown)}, not listed under sources; add it")
    return dict(bank)


def is_plain(content: Any) -> bool:
    """Whether a file holds one text per class and nothing else."""
    return isinstance(content, dict) and bool(content) and all(isinstance(text, str) for text in content.values())


def plain_bank(name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """The bank of a data set of which one text per class is known."""
    return {"dataset": name, "classes": {one: full(text) for one, text in texts.items()}, "sources": {}}


def full(description: str) -> dict[str, Any]:
    """The entry of a line `class: text`: a draft of low confidence, because the file states neither."""
    return {"description": description, "attributes": dict.fromkeys(ATTRIBUTES), "confidence": "low", "sources": [],
            "review": "draft"}


def read_for(dataset: Dataset) -> dict[str, Any]:
    """The bank of a data set. Raises InputError unless its entries are exactly the data set's classes."""
    if isinstance(dataset.knowledge, dict):  # which has checked its classes itself
        return checked(plain_bank(dataset.name, dataset.knowledge), f"conf/dataset/{dataset.name}.yaml: knowledge")
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
    """The knowledge file of a data set: its key `knowledge`, otherwise the bank's file of its name.

    A relative path starts at the folder where the command runs. Raises InputError for knowledge in the config, and for
    closed questions.
    """
    if dataset.task == QUESTION:
        raise InputError(f"dataset={dataset.name} has closed questions, whose options differ from row to row, so there "
                         "is no knowledge to draft or to review; choose another data set")  # fmt: skip
    if isinstance(dataset.knowledge, dict):
        raise InputError(f"dataset={dataset.name} has its knowledge in its config (dataset.knowledge), so there is "
                         "nothing to draft or to review; choose another data set, or name a file with out=")
    return Path(dataset.knowledge or BANK / f"{dataset.name}.yaml")


def checksum(dataset: Dataset) -> str:
    """SHA-256 of a data set's knowledge: of its file, or of the JSON of what the config says."""
    content = dataset.knowledge
    whole = json.dumps(content).encode() if isinstance(content, dict) else path_of(dataset).read_bytes()
    return hashlib.sha256(whole).hexdigest()


def texts(bank: Mapping[str, Any], classes: Sequence[str], attributes: str) -> list[str]:
    """What the prompt says about each class: one text per class, without a full stop at its end.

    attributes: as in conf/prompt/names.yaml.
    """
    return [entry_text(bank["classes"][name], attributes) for name in classes]


def entry_text(entry: Mapping[str, Any], attributes: str) -> str:
    """An entry's `description`, its `attributes`, or `both`; the description alone if no attribute is known."""
    description = entry["description"].rstrip(".")
    known = [f"{key}: {entry['attributes'][key]}" for key in ATTRIBUTES if entry["attributes"][key]]
    if attributes == "description" or not known:
        return description
    return "; ".join([description, *known] if attributes == "both" else known)


def review_states(bank: Mapping[str, Any]) -> dict[str, int]:
    """Number of entries in each review state."""
    states = [entry["review"] for entry in bank["classes"].values()]
    return {state: states.count(state) for state in REVIEW_STATES}


def unreviewed(bank: Mapping[str, Any]) -> tuple[int, int]:
    """Number of entries that no expert has reviewed, and of all entries."""
    entries = len(bank["classes"])
    return entries - review_states(bank)["expert-reviewed"], entries
