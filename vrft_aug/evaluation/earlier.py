"""Decides what becomes of an earlier evaluation in the same folder: it stands, is made again, or is not overwritten."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.configs import flatten
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.errors import InputError

# Settings that may differ: the folder is the same, another machine may do the work, and where the same policy is to be
# compared with more or with less, its evaluation is made again. other_classes only allows one. The last two are keys of
# an earlier version.
FREE = ("out", "hardware.", "probabilities", "conditions", "opponents", "validation", "other_classes", "shuffle_check",
        "pixel_check")  # fmt: skip


def stands(config: DictConfig, run: Run, now: Mapping[str, Any], files: Sequence[str] = ()) -> bool:
    """Whether a finished evaluation in the run's folder has the same settings, rows and weights, so nothing is to do.

    now: what run.json will say about rows (`sha256` and others) and policy (`weights`). files: what the run has
    written if it is no evaluation. False if there is no finished evaluation, or if what it was about has changed since
    under the same names. Raises InputError for other settings.
    """
    if run.earlier.get("state") != "finished":
        return False
    then = {} if run.previous is None else flatten(OmegaConf.to_container(run.previous, resolve=True))
    asked = flatten(OmegaConf.to_container(config, resolve=True))
    different = sorted(key for key in then.keys() | asked.keys() if then.get(key) != asked.get(key))
    if changed := [key for key in different if not key.startswith(FREE)]:
        work = "evaluation" if run.recipe == "evaluate" else run.recipe
        raise InputError(f"out={run.folder} holds the {work} {_of(changed, then, asked)}: choose another out, or "
                         "remove that folder")  # fmt: skip
    beside = [f"{name}/metrics.json" for name in run.earlier.get("has", [])]
    names = files or ["predictions.parquet", "metrics.json", *beside]
    changed = [*different, *(key for key in now if run.earlier.get(key) != now[key])]
    return all((run.folder / name).is_file() for name in names) and set(changed) <= {"out"}


def weights_of(path: str | None) -> dict[str, str]:
    """Size and time of each weight file of the policy that `policy.path` names; empty without a folder."""
    folder = Path(path).expanduser() if path else None
    if not folder or not folder.is_dir():
        return {}
    kinds = (folder.glob("*.safetensors"), folder.glob("policy/*.safetensors"), folder.rglob("*.pt"))  # as resolve()
    files = next((found for kind in kinds if (found := sorted(kind))), [])
    times = ((file, file.stat()) for file in files)
    return {str(file.relative_to(folder)): f"{one.st_size} bytes, {one.st_mtime_ns} ns" for file, one in times}


def _of(changed: list[str], then: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """What the earlier evaluation was about: its policy, if that is another one, or its settings."""
    if {"policy.path", "policy.name"} & set(changed):
        return f"of policy {then.get('policy.path') or then.get('policy.name')}"
    shown = ", ".join(f"{key}: {then.get(key)} -> {asked.get(key)}" for key in changed[:3])
    return f"with other settings ({len(changed)} differ: {shown})"
