"""What a run is about: the same keys in run.json of every training and evaluation, by which a report finds its cell."""

import json
from pathlib import Path

from omegaconf import DictConfig


def of_config(config: DictConfig) -> dict[str, str | int | None]:
    """experiment (None: none), policy_name, dataset, shots (None: all), prompt, objective, and the folder of the rows
    with the protocol that its manifest names (None: no manifest)."""
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
    """SHA-256 of each file of the split, as prepare.py's manifest has them; empty without a manifest."""
    files = _manifest(parquet).get("files", {})
    return {name: account["sha256"] for name, account in files.items() if name.startswith(split)}


def _manifest(parquet: Path) -> dict:
    file = parquet / "manifest.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
