"""Describes in a manifest what the parquet files hold: the source, the rule, the prompt, and checksums."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import vrft_aug
from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation.selection import Index
from vrft_aug.data.preparation.strata import Ints, Positions, per_class
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.parquet_files import sha256
from vrft_aug.data.settings import Dataset

RULE = ("protocol", "shots", "up_to", "seed", "test_seed", "partial", "validation", "limit")
POLICY = ("name", "min_pixels", "max_pixels", "patch", "merge", "box_frame")


def describe(
    dataset: Dataset, composer: Composer, indexes: Mapping[str, Index], chosen: Mapping[str, Positions],
    bank: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Data set, sources, rule, splits, prompt, knowledge, policy and code. No date: the same input, the same bytes.

    dataset: as it is; the composer's is as the prompt asks about it.
    """
    rule = composer.rule
    text = composer.text(tuple(range(len(composer.dataset.classes))))[1]["prompt"]
    prompt = asdict(composer.prompt) | {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    root = Path(rule.data_root)
    origins = sorted(set().union(*(index.origins for index in indexes.values())))
    return {
        "dataset": {key: value for key, value in asdict(dataset).items() if value not in (None, {})},
        "sources": {path.as_posix().removeprefix(f"{root.as_posix()}/"): sha256(path) for path in origins},
        "task": composer.task,
        "rule": {key: getattr(rule, key) for key in RULE},
        "splits": count_splits(dataset, composer, indexes, chosen),
        "prompt": prompt,
        "knowledge": bank and knowledge_facts(dataset, bank),
        "policy": {key: getattr(composer.policy, key) for key in POLICY},
        "code": {"version": vrft_aug.__version__, "sha256": code_sha256()},
    }


def knowledge_facts(dataset: Dataset, bank: Mapping[str, Any]) -> dict[str, Any]:
    """Checksum of the knowledge, entries per review state, and how many of all entries no expert has reviewed.

    None for both: the knowledge is in the config, which has no reviews; that of a phantom is true because it was drawn.
    """
    unreviewed, entries = reading.unreviewed(bank)
    reviews: dict[str, Any] = {"review": reading.review_states(bank), "unreviewed": unreviewed}
    if isinstance(dataset.knowledge, dict):
        reviews = dict.fromkeys(reviews)
    return {"sha256": reading.checksum(dataset), **reviews, "entries": entries}


def count_splits(
    dataset: Dataset, composer: Composer, indexes: Mapping[str, Index], chosen: Mapping[str, Positions]
) -> dict[str, dict[str, Any]]:
    classes = [] if composer.prompt.pretext else dataset.classes
    return {split: count(classes, indexes[split], chosen[split]) for split in chosen}


def count(classes: list[str], index: Index, positions: Positions) -> dict[str, Any]:
    """Images per class in the source and in the file; with those of which no label is known or read, if any."""

    def by_class(labels: Ints) -> dict[str, int]:
        unlabelled = int((labels < 0).sum())
        counts = dict(zip(classes, per_class(labels, len(classes)).tolist(), strict=True))
        return counts | ({"unlabelled": unlabelled} if unlabelled else {})

    return {
        "rows": len(positions),
        "available": by_class(index.labels),
        "drawn": by_class(index.labels[positions]),
        "without_box": int((~index.boxed).sum()),
    }


def code_sha256() -> str:
    """One checksum of this package's code and templates."""
    folder = Path(__file__).parents[1]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".jinja"))
    parts = (f"{path.relative_to(folder).as_posix()} {sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def summary(manifest: Mapping[str, Any], out: str) -> str:
    """What a run did, in a few lines for the person who started it."""
    lines = [f"warning: {text}" for text in manifest["warnings"]]
    leaks = manifest["leakage"]
    if leaks["exact"] or leaks["near"]:
        copies = f"{leaks['exact']} exact and {leaks['near']} near copies of images across splits"
        lines.append(f"warning: {copies} (leakage={leaks['action']}); see manifest.json")
    for split, account in manifest["splits"].items():
        drawn = ", ".join(f"{name}: {number}" for name, number in account["drawn"].items())
        lines.append(f"{split:5} {account['rows']:6} rows of {sum(account['available'].values())} ({drawn})")
    lines.append("labels used: {train} train + {val} val".format(**manifest["labels"]))
    lines.append("visual tokens per image: {least} to {most}".format(**manifest["image_tokens"]))
    lines += [f"read as {text}: {number} image{'s' * (number > 1)}" for text, number in manifest["treatments"].items()]
    if manifest["prompt_tokens"]:
        lines.append("longest prompt {longest} tokens, limit {limit}".format(**manifest["prompt_tokens"]))
    files = [*manifest["files"], "manifest.json"]
    return "\n".join([*lines, f"{out}: {', '.join(files)}" if manifest["files"] else "check=true: nothing was written"])
