"""Finds the policy's files in one checkpoint of verl, and tells whether the checkpoint is whole."""

import json
import zipfile
from pathlib import Path


def shards(checkpoint: Path) -> Path | None:
    """The folder of the policy's FSDP shards: `actor` after GRPO, the checkpoint itself after SFT; None: neither."""
    return next((path for path in (checkpoint / "actor", checkpoint) if (path / "fsdp_config.json").is_file()), None)


def damage_of(checkpoint: Path) -> str | None:
    """What is missing or altered in a checkpoint; None: it is whole. Checks the checksums in torch's zip archives."""
    if not (folder := shards(checkpoint)):
        return f"{checkpoint.name} has no fsdp_config.json"
    try:
        ranks = json.loads((folder / "fsdp_config.json").read_text())["world_size"]
    except (ValueError, KeyError):
        return "fsdp_config.json is damaged"
    models = {folder / f"model_world_size_{ranks}_rank_{rank}.pt" for rank in range(ranks)}
    for path in sorted(models | set(checkpoint.rglob("*.pt"))):
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile
        except FileNotFoundError:
            return f"{path.name} is missing"
        except (zipfile.BadZipFile, EOFError, OSError, ValueError):
            return f"{path.name} is damaged"
    return None
