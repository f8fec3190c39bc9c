"""Describes what a run is about: the keys in run.json by which a report finds the table cell of the run."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig


def of_config(config: DictConfig) -> dict[str, str | int | None]:
    """The keys that every training and evaluation records. experiment None: none; shots None: all training images.

    parquet: the folder of the rows; protocol: from its manifest, None without one.
    """
    parquet = Path(config.parquet).resolve()
    return {
        "experiment": config.experiment_name,
        "policy_name": config.policy_name,
        "dataset": config.dataset.name,
        "shots": config.shots,
        "prompt": config.prompt.name,
        "objective": config.objective_name,
        "parquet": str(parquet),
        "protocol": _manifest(parquet).get("rule", {}).get("protocol"),
    }


def checksums(parquet: Path, split: str) -> dict[str, str]:
    """SHA-256 of each file of the split, from the manifest of the rows; empty without a manifest."""
    files = _manifest(parquet).get("files", {})
    return {name: account["sha256"] for name, account in files.items() if name.startswith(split)}


def _manifest(parquet: Path) -> dict[str, Any]:
    """What recipes/prepare.py wrote about the rows; empty without a manifest."""
    file = parquet / "manifest.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
