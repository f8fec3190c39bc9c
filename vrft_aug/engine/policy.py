"""Policies as folders in Hugging Face format: finding or building one, exporting one from verl's checkpoint."""

import re
import shutil
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from vrft_aug.errors import InputError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve(policy: DictConfig) -> str:
    """The folder or hub id of the policy that the group `policy` describes; builds it where `path` is null.

    Raises:
        InputError: `path` names a local folder that holds no model.
    """
    if policy.path is None:
        return str(instantiate(policy.build))
    folder = Path(policy.path).expanduser()
    if HUB_ID.fullmatch(policy.path) and not folder.exists():
        return policy.path
    if not (folder / "config.json").is_file():
        raise InputError(
            f"policy.path={policy.path}: no config.json there; give the folder of a model in Hugging Face format, "
            "such as the `policy` folder that sft.py and grpo.py leave in their `out`"
        )
    return str(folder.resolve())


def last_step(checkpoints: Path) -> int:
    """The step of verl's newest complete checkpoint; 0 where there is none."""
    folder = latest_checkpoint(checkpoints)
    return int(folder.name.removeprefix("global_step_")) if folder else 0


def latest_checkpoint(checkpoints: Path) -> Path | None:
    """The folder of verl's newest complete checkpoint, or None."""
    from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path

    found = find_latest_ckpt_path(str(checkpoints)) if checkpoints.is_dir() else None
    return Path(found) if found else None


def export(checkpoint: Path, target: Path) -> None:
    """Merge verl's FSDP shards in `checkpoint` into a Hugging Face folder `target` (bfloat16, by verl's merger).

    Written beside `target` and renamed, so that `target` is whole or what it was before.
    """
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    shards = checkpoint / "actor" if (checkpoint / "actor").is_dir() else checkpoint  # GRPO's layout, or SFT's
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    config = ModelMergerConfig(
        operation="merge",
        backend="fsdp",
        local_dir=str(shards),
        target_dir=str(temporary),
        hf_model_config_path=str(shards / "huggingface"),
    )
    FSDPModelMerger(config).merge_and_save()
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
