"""Writes the drawn samples as parquet rows, and keeps account of what it saw: fingerprints, sizes, conversions."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrft_aug.data.datasets.sample import Sample
from vrft_aug.data.preparation.leakage import Fingerprint
from vrft_aug.data.preparation.mistakes import Mistakes
from vrft_aug.data.preparation.opening import Opened, Result, image_opener
from vrft_aug.data.preparation.prompt_budget import PromptBudget
from vrft_aug.data.preparation.sample_images import apart, together
from vrft_aug.data.preparation.selection import pick
from vrft_aug.data.preparation.strata import Positions
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.exports import EXPORTS
from vrft_aug.data.rows.frame import image_tokens, pairs
from vrft_aug.data.rows.parquet_files import ShardWriter, sha256
from vrft_aug.data.rows.schema import SFT, Row, rl_schema
from vrft_aug.data.settings import Load
from vrft_aug.errors import InputError

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]  # (items, what is done, how many) -> the items
Convert = Callable[[Row], Mapping[str, Any]]  # verl's row -> the row of another file
WHOLE = 1 << 60  # bytes of a file that is never divided


@dataclass
class Account:
    """What a pass over the images found. files: rows, bytes and checksum by name. tokens: rows by visual tokens.

    treatments: images by how they were read, where that is not as they are.
    """

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    prints: dict[str, list[Fingerprint]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    treatments: Counter[str] = field(default_factory=Counter)


def write(
    load: Load, chosen: Mapping[str, Positions], composer: Composer, folder: Path | None, budget: PromptBudget | None,
    track: Track,
) -> Account:
    """Open each image once and write all rows to `folder`, where files of an earlier call are deleted. A split without
    rows has no file.

    folder: None, nothing is written. Raises InputError, with the first ten mistakes, for unreadable images and boxes
    that do not fit.
    """
    for path in folder.iterdir() if folder else ():
        path.unlink()
    account, mistakes = Account(), Mistakes()
    with image_opener(composer.rule.workers, sum(map(len, chosen.values()))) as open_images:
        for split, positions in chosen.items():
            writers = open_writers(split, composer, folder) if folder and len(positions) else []
            action = f"write {split}" if folder else f"check {split}"
            samples = track(pick(load(split), positions), action, len(positions))
            account.prints[split] = []
            for number, (sample, results) in enumerate(together(open_images(apart(samples)))):
                with mistakes.noted(sample):
                    first, *more = map(readable, results)
                    shown, opened = composer.posed(sample, first, split)
                    row = composer.rl(shown, opened, split, number, more)
                    note(account, split, sample, number, [opened, *more], composer)
                    if budget:
                        budget.add(row["prompt"][0]["content"], *pairs(row["extra_info"]["image_size"]))
                    for writer, convert in writers:
                        writer.write(convert(row))
            for path, rows in (shard for writer, _ in writers for shard in writer.close()):
                account.files[path.name] = {"rows": rows} | describe_file(path)
    mistakes.raise_if_any()
    return account


def readable(result: Result) -> Opened:
    if isinstance(result, InputError):
        raise result
    return result


def note(
    account: Account, split: str, sample: Sample, row: int, images: Sequence[Opened], composer: Composer
) -> None:
    """Count the images of one row; those that its prompt does not show may be copies too."""
    for number, opened in enumerate(images, 1):
        name = f"{sample.source_id}, image {number}" if len(images) > 1 else sample.source_id
        account.prints[split].append(Fingerprint(name, opened.exact, opened.near, row))
        account.tokens[image_tokens(opened.size, composer.policy)] += 1
        if opened.reading:
            account.treatments[opened.reading.treatment] += 1
        if opened.note:
            account.notes[opened.note] += 1


def describe_file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def open_writers(split: str, composer: Composer, folder: Path) -> list[tuple[ShardWriter, Convert]]:
    """A writer for each file of a split, with the function that makes its rows from verl's."""
    shard = composer.rule.shard_mb << 20
    rows = ShardWriter(folder, split, rl_schema(composer.record), shard)
    writers: list[tuple[ShardWriter, Convert]] = [(rows, lambda row: row)]
    if split != "test":
        writers.append((ShardWriter(folder, f"sft_{split}", SFT, shard), composer.sft))
    if name := composer.rule.export:  # its trainer reads one file per split
        writers.append((ShardWriter(folder, f"{name}_{split}", EXPORTS[name].schema, WHOLE), EXPORTS[name].convert))
    return writers


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder inside `out`. Its files replace those of an earlier run after a success, the manifest last."""
    existed, stage = out.exists(), out / ".partial"
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"out={out}: cannot be written ({error}); name another folder") from None
    try:
        yield stage
        manifest = out / "manifest.json"
        if manifest.exists():
            for name in json.loads(manifest.read_text(encoding="utf-8")).get("files", {}):
                (out / Path(name).name).unlink(missing_ok=True)
            manifest.unlink()
        for path in sorted(stage.iterdir(), key=lambda path: path.name == "manifest.json"):
            path.replace(out / path.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if not existed and not any(out.iterdir()):
            out.rmdir()
