"""Describes what a run is about: the keys in run.json by which a report finds the table cell of the run."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.policy_files import read_settings
from vrft_aug.data.preparation.contract import read_manifest


def of_config(config: DictConfig, rows: Path, *more: Path) -> dict[str, Any]:
    """The keys that every training and evaluation records. experiment None: none; shots None: all training images;
    variant None: not of GRPO. freeze None: not of a training. warn None: not of GRPO; else its own bounds of the signs
    of vrft_aug/rewards/diagnostics.py.

    rows: the folder of the prepared rows. From its manifest are: shots, protocol, knowledge (how many of the prompt's
    entries nobody has reviewed, where None stands for entries of the config; None without knowledge), image_tokens
    (visual tokens of the smallest and the largest image), labels (how many labelled images training and validation
    use; none with a pretext), task, classes, images (the most per prompt), and pretext (the prompt's; it asks for none
    of the classes). more: folders with the rows of other prompts that a training reads as well; they count for the
    labels.
    """
    manifest = read_manifest(rows)
    knowledge = manifest["knowledge"]
    return {
        "experiment": config.experiment_name,
        "policy_name": config.policy_name,
        "dataset": config.dataset.name,
        "task": manifest["task"],
        "classes": manifest["dataset"]["classes"],
        "images": manifest["dataset"].get("images", 1),
        "shots": manifest["rule"]["shots"],
        "seed": config.seed,
        "prompt": config.prompt.name,
        "pretext": manifest["prompt"].get("pretext"),
        "objective": config.objective_name,
        "variant": config.get("variant_name"),
        "freeze": config.get("freeze"),
        "warn": OmegaConf.to_container(config.warn) if "warn" in config else None,
        "parquet": str(rows.resolve()),
        "protocol": manifest["rule"]["protocol"],
        "knowledge": knowledge and {key: knowledge[key] for key in ("unreviewed", "entries")},
        "image_tokens": manifest["image_tokens"],
        "labels": {split: max(one["labels"][split] for one in (manifest, *map(read_manifest, more)))
                   for split in manifest["labels"]},  # prompts of one data set share their images
    }


def checksums(parquet: Path, split: str) -> dict[str, str]:
    """SHA-256 of each file of the split, from the manifest of the rows."""
    files = read_manifest(parquet)["files"]
    return {name: account["sha256"] for name, account in files.items() if name.startswith(split)}


def labels_of_policy(path: str | None) -> dict[str, int] | None:
    """How many labelled images the last training of the policy used; None: no training of ours made it."""
    trainings = (read_settings(path) or {}).get("trainings")
    return trainings[-1]["labels"] if trainings else None


def variant_of_policy(path: str | None) -> str | None:
    """The variant of the last GRPO training of the policy; None: it has none of ours, or none that says so."""
    trainings = (read_settings(path) or {}).get("trainings", [])
    return next((one["variant"] for one in reversed(trainings) if one.get("variant")), None)


def freeze_of_policy(path: str | None) -> str | None:
    """What the last training of the policy held frozen; None: nothing, or no training of ours that says so."""
    trainings = (read_settings(path) or {}).get("trainings")
    frozen = trainings[-1].get("freeze") if trainings else None
    return None if frozen == "none" else frozen


def training_data_of_policy(path: str | None, dataset: str) -> dict[str, Any]:
    """trained_on: the data sets of the policy's trainings, in order; external: whether `dataset` is none of them.

    Both are None if no training of ours made the policy.
    """
    trainings = (read_settings(path) or {}).get("trainings")
    if not trainings:
        return {"trained_on": None, "external": None}
    names = list(dict.fromkeys(one["dataset"] for one in trainings))
    return {"trained_on": names, "external": dataset not in names}
