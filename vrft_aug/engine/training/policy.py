"""Policies as folders in Hugging Face format: finding or building one, merging one from verl's checkpoint."""

import hashlib
import json
import re
import shutil
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from vrft_aug.engine.training.checkpoints import shards
from vrft_aug.errors import InputError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DESCRIPTIONS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json",
                "video_preprocessor_config.json")  # fmt: skip
MARK = ".merged"  # in a merged folder: which checkpoint it is


def resolve(policy: DictConfig, merged: Path | None = None) -> str:
    """The folder or hub id of the policy that the group `policy` describes.

    `path` null builds it. A folder in Hugging Face format stands for itself, a run of sft.py or grpo.py for the policy
    that it left. A checkpoint of verl is merged into `merged`, unless that holds it already; where `merged` is None its
    tokenizer, processor and config are enough.

    Raises InputError for anything else, and for a policy that brings Python code of its own.
    """
    if policy.path is None:
        return str(instantiate(policy.build))
    found = _find(policy, merged)
    _refuse_code(found)
    return found


def _find(policy: DictConfig, merged: Path | None) -> str:
    folder = Path(policy.path).expanduser().resolve()
    if HUB_ID.fullmatch(policy.path) and not folder.exists():
        return _on_hub(policy.path)
    if found := shards(folder):
        _refuse_code(str(found / "huggingface"))
        return str(merge(folder, merged) if merged else found / "huggingface")
    for candidate in (folder, folder / "policy"):
        if (candidate / "config.json").is_file() and any(candidate.glob("*.safetensors")):
            return str(candidate)
    raise InputError(
        f"policy.path={policy.path}: no config.json and *.safetensors there; give a model's folder in Hugging Face "
        "format, a hub id, the `out` of a finished sft.py or grpo.py, or one of its checkpoints/global_step_<n>"
    )


def _refuse_code(policy: str) -> None:
    """verl's reward worker and merger load tokenizers with trust_remote_code on, whatever the configuration says
    (verl 0.9.1, reward_loop.py:122): code that a policy brings must stop here."""
    from transformers.utils import cached_file

    for name in DESCRIPTIONS:
        file = cached_file(policy, name, _raise_exceptions_for_missing_entries=False)
        try:
            description = json.loads(Path(file).read_text()) if file else {}
        except ValueError as error:
            raise InputError(f"{file}: not JSON ({error}); fetch the policy anew") from None
        if "auto_map" in description:
            raise InputError(
                f"policy.path={policy}: {name} names Python code of the model's own (auto_map), which is never run: "
                "take a model that transformers knows by itself"
            )


def merge(checkpoint: Path, target: Path) -> Path:
    """Merge verl's FSDP shards in `checkpoint` into a Hugging Face folder `target` (bfloat16, by verl's merger).

    Written beside `target` and renamed, so that `target` is whole or what it was before; left alone where it holds this
    checkpoint already. Loads pickles, as verl does: merge no checkpoint of a stranger. Returns `target`.
    """
    source = shards(checkpoint)
    mark = hashlib.sha256(f"{source} {(source / 'fsdp_config.json').stat().st_mtime_ns}".encode()).hexdigest()
    if (target / MARK).is_file() and (target / MARK).read_text() == mark:
        return target
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    _merge(source, temporary)
    (temporary / MARK).write_text(mark)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return target


def _merge(source: Path, target: Path) -> None:
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    FSDPModelMerger(
        ModelMergerConfig(
            operation="merge",
            backend="fsdp",
            local_dir=str(source),
            target_dir=str(target),
            hf_model_config_path=str(source / "huggingface"),
        )
    ).merge_and_save()
    if (target / "lora_adapter").is_dir():
        _add_adapter(target)


def _add_adapter(folder: Path) -> None:
    """verl's merger leaves a LoRA adapter beside the base model's weights: add the one to the other."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder / "lora_adapter").merge_and_unload()
    model.to(torch.bfloat16).save_pretrained(folder)
    shutil.rmtree(folder / "lora_adapter")


def _on_hub(hub_id: str) -> str:
    from transformers.utils import cached_file

    try:
        cached_file(hub_id, "config.json")
    except OSError as error:
        raise InputError(
            f"policy.path={hub_id}: no such folder, and no such model on the hub or in its cache ({error})"
        ) from None
    return hub_id
