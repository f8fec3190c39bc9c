"""Prepares a data set for training: draws images, writes parquet rows, looks for leaks, and writes the manifest.

The source is read twice, in its own order: first for labels, groups and boxes (no image is opened), then for the drawn
images, each opened once. So memory holds a few hundred bytes per image, never all images. Only `leakage=drop` may write
the rows twice.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from vrft_aug.data.datasets.sample import SPLITS, DataWarning
from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation import leakage
from vrft_aug.data.preparation.manifest import describe
from vrft_aug.data.preparation.opening import image_opener
from vrft_aug.data.preparation.prompt_budget import PromptBudget
from vrft_aug.data.preparation.selection import Positions, check_indexes, pick, read_index, select
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.exports import EXPORTS
from vrft_aug.data.rows.parquet_files import ShardWriter, sha256
from vrft_aug.data.rows.schema import RL, SFT, Row
from vrft_aug.data.settings import Dataset, Load, Policy, PreparationRule, Prompt
from vrft_aug.errors import InputError

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]  # (items, what is done, how many) -> the items
Convert = Callable[[Row], Mapping[str, Any]]  # verl's row -> the row of another file


def prepare(config: DictConfig, policy_path: str | None, track: Track = lambda items, text, total: items) -> dict:
    """Write the parquet files and manifest.json of `config` (conf/prepare.yaml) to the folder `config.out`.

    policy_path: where the policy's tokenizer is; None skips the check of prompt lengths. track: shows the progress.

    Returns the manifest. Raises InputError for bad input, and then leaves `out` as it was.
    """
    dataset, prompt, policy = Dataset.of(config.dataset), Prompt.of(config.prompt), Policy.of(config.policy)
    rule, load = PreparationRule.of(config), dataset.load(config.data_root)
    bank = reading.read_for(dataset) if prompt.knowledge else None
    knowledge = [bank["classes"][name]["description"] for name in dataset.classes] if bank else []
    composer = Composer(dataset, prompt, policy, rule, knowledge)
    limit = policy.max_prompt_length
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", DataWarning)
        indexes = {split: read_index(load(split), dataset, composer.task) for split in SPLITS}
        check_indexes(indexes, load)
        chosen = select(rule, dataset, composer.task, indexes)
        budget = PromptBudget(policy_path, policy, limit) if policy_path and limit is not None else None
        with staged(Path(rule.out)) as stage:
            files, prints = write(load, chosen, composer, stage, budget, track)
            report, drop = leakage.check(prints, rule.leakage)
            if any(drop.values()):
                chosen = {split: np.delete(rows, sorted(drop[split])) for split, rows in chosen.items()}
                files, _ = write(load, chosen, composer, stage, None, track)
            manifest = describe(composer, indexes, chosen, bank) | {
                "leakage": report,
                "prompt_tokens": budget.check() if budget else None,
                "warnings": list(dict.fromkeys(str(w.message) for w in heard if w.category is DataWarning)),
                "files": files,
            }
            (stage / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def write(
    load: Load, chosen: Mapping[str, Positions], composer: Composer, folder: Path, budget: PromptBudget | None,
    track: Track,
) -> tuple[dict[str, Any], dict[str, list[leakage.Fingerprint]]]:
    """Write all rows to `folder` and open each image once. What an earlier call left there is deleted.

    Returns rows, bytes and checksum of each file, and the fingerprints of each split's images.
    """
    for path in folder.iterdir():
        path.unlink()
    files, prints = {}, {split: list[leakage.Fingerprint]() for split in chosen}
    with image_opener(composer.rule.workers, sum(map(len, chosen.values()))) as open_images:
        for split, positions in chosen.items():
            writers = open_writers(split, composer, folder)
            samples = track(pick(load(split), positions), f"write {split}", len(positions))
            for number, (sample, opened) in enumerate(open_images(samples)):
                prints[split].append(leakage.Fingerprint(sample.source_id, opened.exact, opened.near))
                row = composer.rl(sample, opened, split, number)
                if budget:
                    budget.add(row["extra_info"]["prompt"], opened.size)
                for writer, convert in writers:
                    writer.write(convert(row))
            for path, rows in (shard for writer, _ in writers for shard in writer.close()):
                files[path.name] = {"rows": rows, "bytes": path.stat().st_size, "sha256": sha256(path)}
    return files, prints


def open_writers(split: str, composer: Composer, folder: Path) -> list[tuple[ShardWriter, Convert]]:
    """A writer for each file of a split, with the function that makes its rows from verl's."""
    kinds: dict[str, tuple[Any, Convert]] = {split: (RL, lambda row: row)}
    if split != "test":
        kinds[f"sft_{split}"] = (SFT, composer.sft)
    if export := composer.rule.export:
        kinds[f"{export}_{split}"] = EXPORTS[export]
    return [(ShardWriter(folder, name, schema, composer.rule.shard_mb << 20), convert)
            for name, (schema, convert) in kinds.items()]


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
