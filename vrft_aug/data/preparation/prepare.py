"""Data set -> parquet and manifest: index, draw, write, look for leaks.

The source is read twice, in its own order: for labels, groups and boxes (no image is opened), then for the drawn
images, each opened once. So memory holds some hundred bytes an image, never the images. Only `leakage=drop` may write
twice.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.datasets.sample import SPLITS, DataWarning
from vrft_aug.data.knowledge import reading
from vrft_aug.data.preparation import leakage
from vrft_aug.data.preparation.manifest import describe
from vrft_aug.data.preparation.opening import image_opener
from vrft_aug.data.preparation.prompt_budget import PromptBudget
from vrft_aug.data.preparation.selection import Load, Positions, check_indexes, draw, pick, read_index
from vrft_aug.data.rows.composer import Composer
from vrft_aug.data.rows.exports import EXPORTS
from vrft_aug.data.rows.parquet_writer import ShardWriter, sha256
from vrft_aug.data.rows.schema import RL, SFT
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import TASKS

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]  # (items, what is done, how many) -> the items
Convert = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # verl's row -> the row of another file
GROUPS = ("dataset", "prompt", "policy")
KEYS = ("protocol", "shots", "up_to", "seed", "test_seed", "limit", "leakage", "partial", "think", "label_noise",
        "export", "shard_mb", "workers", "data_root", "out")


def prepare(config: DictConfig, policy_path: str | None, track: Track = lambda items, text, total: items) -> dict:
    """Write the parquet files and manifest.json of `config` (conf/prepare.yaml) to the folder `config.out`.

    policy_path: where the policy's tokenizer is, for the check of prompt lengths; None leaves it out.

    Returns the manifest. Raises InputError for bad input; then `out` is as it was before.
    """
    dataset, prompt, policy = (OmegaConf.to_container(config[group], resolve=True) for group in GROUPS)
    rule = OmegaConf.to_container(OmegaConf.masked_copy(config, KEYS), resolve=True)
    check_settings(rule, dataset, prompt)
    bank = reading.read_for(dataset) if prompt["knowledge"] else None
    known = [bank["classes"][name]["description"] for name in dataset["classes"]] if bank else []
    composer = Composer(dataset, prompt, policy, known, rule["seed"], rule["think"], rule["label_noise"])
    load = partial(instantiate(config.dataset.loader, _partial_=True), Path(rule["data_root"]))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", DataWarning)
        indexes = {split: read_index(load(split), dataset, composer.task) for split in SPLITS}
        check_indexes(indexes, load)
        chosen = draw(rule, dataset, composer.task, indexes)
        budget = PromptBudget(policy_path, policy) if policy_path else None
        with staged(Path(rule["out"])) as stage:
            files, prints = write(load, chosen, composer, rule, stage, budget, track)
            report, drop = leakage.check(prints, rule["leakage"])
            if any(drop.values()):
                chosen = {split: np.delete(rows, sorted(drop[split])) for split, rows in chosen.items()}
                files, _ = write(load, chosen, composer, rule, stage, None, track)
            manifest = describe(rule, composer, indexes, chosen, bank) | {
                "leakage": report,
                "prompt_tokens": budget.check() if budget else None,
                "warnings": list(dict.fromkeys(str(w.message) for w in heard if w.category is DataWarning)),
                "files": files,
            }
            (stage / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def check_settings(rule: Mapping[str, Any], dataset: Mapping[str, Any], prompt: Mapping[str, Any]) -> None:
    """Refuse what a slip in a config would let run all the same."""
    choices = {
        "protocol": (rule["protocol"], ("full", "paper")),
        "leakage": (rule["leakage"], leakage.ACTIONS),
        "export": (rule["export"], (None, *EXPORTS)),
        "prompt.class_order": (prompt["class_order"], ("fixed", "shuffled")),
        "dataset.task": (dataset["task"], TASKS),
    }
    for key, (value, known) in choices.items():
        if value not in known:
            raise InputError(f"{key}={value}: one of {', '.join('null' if k is None else k for k in known)}")
    optional = {key: rule[key] for key in ("shots", "workers")}
    optional |= {f"limit.{split}": number for split, number in rule["limit"].items()}
    for key, value in ({key: rule[key] for key in ("up_to", "seed", "test_seed", "shard_mb")} | optional).items():
        if not ((isinstance(value, int) and value >= 0) or (value is None and key in optional)):
            raise InputError(f"{key}={value}: a whole number is needed{' (or null)' if key in optional else ''}")
    if not 0 <= rule["label_noise"] <= 1:
        raise InputError(f"label_noise={rule['label_noise']}: a share between 0 and 1")
    where, classes = f"conf/dataset/{dataset['name']}.yaml", dataset["classes"]
    if not all(isinstance(name, str) for name in classes) or len(set(classes)) < len(classes):
        raise InputError(f"{where}: the classes must be different strings (quote grades, as in \"0\")")
    if dataset["task"] == "grading" and not all(name.isdecimal() for name in classes):
        raise InputError(f"{where}: the classes of a grading task are integers, as \"0\", \"1\"")
    if unknown := set(dataset.get("aliases") or {}) - set(classes):
        raise InputError(f"{where}: aliases of '{min(unknown)}', which is no class; correct the name")


def write(
    load: Load,
    chosen: Mapping[str, Positions],
    composer: Composer,
    rule: Mapping[str, Any],
    folder: Path,
    budget: PromptBudget | None,
    track: Track,
) -> tuple[dict[str, Any], dict[str, leakage.Fingerprints]]:
    """Write all rows to an empty folder, opening each image once; what an earlier try left there is deleted.

    Returns rows, bytes and checksum of each file, and the fingerprints of each split's images.
    """
    for path in folder.iterdir():
        path.unlink()
    files, prints = {}, {split: leakage.Fingerprints() for split in chosen}
    with image_opener(rule["workers"], sum(map(len, chosen.values()))) as open_images:
        for split, positions in chosen.items():
            writers = open_writers(split, composer, rule, folder)
            samples = track(pick(load(split), positions), f"write {split}", len(positions))
            for number, (sample, opened) in enumerate(open_images(samples)):
                prints[split].add(sample.source_id, opened.exact, opened.near)
                row = composer.rl(sample, opened, split, number)
                if budget:
                    budget.add(row["extra_info"]["prompt"], opened.size)
                for writer, convert in writers:
                    writer.write(convert(row))
            for path, rows in (shard for writer, _ in writers for shard in writer.close()):
                files[path.name] = {"rows": rows, "bytes": path.stat().st_size, "sha256": sha256(path)}
    return files, prints


def open_writers(
    split: str, composer: Composer, rule: Mapping[str, Any], folder: Path
) -> list[tuple[ShardWriter, Convert]]:
    """A writer for each file of a split, with what makes its rows of verl's."""
    kinds = {split: (RL, dict)}
    if split != "test":
        kinds[f"sft_{split}"] = (SFT, composer.sft)
    if rule["export"]:
        kinds[f"{rule['export']}_{split}"] = EXPORTS[rule["export"]]
    return [(ShardWriter(folder, name, schema, rule["shard_mb"] << 20), convert)
            for name, (schema, convert) in kinds.items()]


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder inside `out` whose files replace an earlier run's only when all went well; the manifest goes last."""
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
