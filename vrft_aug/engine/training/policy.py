"""Finds, builds or merges a policy, so that it is a folder in Hugging Face format or a hub id."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.utils import instantiate

from vrft_aug.data.policy_files import Bounds, read_bounds, write_bounds
from vrft_aug.data.settings import Policy
from vrft_aug.engine.training.checkpoint_files import shards
from vrft_aug.errors import InputError

HUB_SECONDS = 5  # for the hub to say whether it has a model
FILES = ["*.json", "*.txt", "*.jinja", "*.model", "*.safetensors"]  # of a model on the hub: no Python code
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DESCRIPTIONS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json",
                "video_preprocessor_config.json")  # fmt: skip
MARK = ".merged"  # file in a merged folder that tells its checkpoint


def resolve(policy: Policy, work: Path | None = None, copy: bool = False) -> str:
    """The folder of the policy that the config group `policy` describes, with its pixel bounds in the processor files.

    Without `path`, `build` makes the policy. `path` is a folder in Hugging Face format, a hub id, a run of sft.py or
    grpo.py (its policy is used), or a checkpoint of verl. The folder `work` is written only where it is needed: for a
    merged checkpoint, and for a policy whose processor files have other bounds. Then it has the same files as the
    policy, as links (copy: as copies, which every node of a cluster can read), and processor files with the bounds.
    Without `work`, nothing is written, and only tokenizer, processor and config can be used.

    Raises InputError for anything else, and for a policy that contains Python code.
    """
    found = str(instantiate(policy.build)) if policy.path is None else find(policy.path, work)
    _refuse_code(found)
    folder = Path(found)
    if work is None or not folder.is_dir():
        return found
    wanted = Bounds(policy.min_pixels, policy.max_pixels, policy.patch, policy.merge)
    bounds = read_bounds(folder)
    if bounds is None or bounds[2:] != wanted[2:]:
        raise InputError(f"{found}: its processor files say {bounds}, but policy={policy.name} has patch="
                         f"{policy.patch} and merge={policy.merge}; choose the policy= of this model")  # fmt: skip
    return found if bounds == wanted else str(_with_bounds(folder, work, wanted, copy))


def find(path: str, work: Path | None = None) -> str:
    """The folder or hub id that `policy.path` names; with `work`, downloaded and merged. See `resolve`."""
    folder = Path(path).expanduser().resolve()
    if HUB_ID.fullmatch(path) and not folder.exists():
        return _on_hub(path, weights=work is not None)
    if found := shards(folder):
        _refuse_code(str(found / "huggingface"))
        return str(merge(folder, work) if work else found / "huggingface")
    for candidate in (folder, folder / "policy"):
        if (candidate / "config.json").is_file() and any(candidate.glob("*.safetensors")):
            return str(candidate)
    raise InputError(f"policy.path={path}: no config.json and *.safetensors there; give a model's folder, a hub id, "
                     "the `out` of a finished sft.py or grpo.py, or its checkpoints/global_step_<n>")  # fmt: skip


def _with_bounds(source: Path, target: Path, bounds: Bounds, copy: bool) -> Path:
    """Make `target` a folder with the files of `source`, and with other bounds in its processor files."""
    if source == target:  # a checkpoint that was merged there
        write_bounds(target, bounds.min_pixels, bounds.max_pixels)
        return target
    with _whole_folder(target) as folder:
        for file in source.iterdir():
            if file.is_file():
                shutil.copy(file, folder) if copy else (folder / file.name).symlink_to(file.resolve())
        write_bounds(folder, bounds.min_pixels, bounds.max_pixels)
    return target


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder. It replaces `target` if the block ends without an error."""
    temporary = target.with_name(f".{target.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    yield temporary
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)


def _refuse_code(policy: str) -> None:
    """Raise InputError if a description of the policy names Python code. verl's reward worker and merger would run it:
    they load tokenizers with trust_remote_code on, whatever the configuration says (verl 0.9.1, reward_loop.py:122)."""
    from transformers.utils import cached_file

    for name in DESCRIPTIONS:
        file = cached_file(policy, name, _raise_exceptions_for_missing_entries=False)
        try:
            description = json.loads(Path(file).read_text()) if file else {}
        except ValueError as error:
            raise InputError(f"{file}: not JSON ({error}); fetch the policy again") from None
        if "auto_map" in description:
            raise InputError(f"policy.path={policy}: {name} names Python code of the model (auto_map), which we never "
                             "run: use a model whose code is in transformers")  # fmt: skip


def merge(checkpoint: Path, target: Path) -> Path:
    """Merge verl's FSDP shards in `checkpoint` into the Hugging Face folder `target` (bfloat16). Returns `target`.

    `target` is never half-written, and left as it is if it holds this checkpoint already. verl's merger loads pickles:
    do not merge a checkpoint from a stranger. Raises InputError if `checkpoint` is no checkpoint.
    """
    if not (source := shards(checkpoint)):
        raise InputError(f"{checkpoint} is no checkpoint of verl: it has no fsdp_config.json")
    mark = hashlib.sha256(f"{source} {(source / 'fsdp_config.json').stat().st_mtime_ns}".encode()).hexdigest()
    if (target / MARK).is_file() and (target / MARK).read_text() == mark:
        return target
    with _whole_folder(target) as folder:
        _merge(source, folder)
        (folder / MARK).write_text(mark)
    return target


def _merge(source: Path, target: Path) -> None:
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    config = ModelMergerConfig(operation="merge", backend="fsdp", local_dir=str(source), target_dir=str(target),
                               hf_model_config_path=str(source / "huggingface"))  # fmt: skip
    FSDPModelMerger(config).merge_and_save()
    if (target / "lora_adapter").is_dir():
        _add_adapter(target)


def _add_adapter(folder: Path) -> None:
    """Add a LoRA adapter to the weights of the base model. verl's merger leaves it in a folder beside them."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder / "lora_adapter").merge_and_unload()
    model.to(torch.bfloat16).save_pretrained(folder)
    shutil.rmtree(folder / "lora_adapter")


def _on_hub(hub_id: str, weights: bool) -> str:
    """The folder of the hub's cache with a model, downloaded where it is missing.

    weights: without them only the descriptions are fetched, and the hub id is returned, as transformers takes it.
    """
    import httpx
    from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(hub_id, "config.json"), str):
            HfApi().model_info(hub_id, timeout=HUB_SECONDS)  # transformers would try for half a minute
        if not weights:
            return hub_id
        _refuse_code(hub_id)
        return snapshot_download(hub_id, allow_patterns=FILES)
    except InputError:
        raise
    except (OSError, ValueError, httpx.HTTPError) as error:  # the hub's own errors are among them
        raise InputError(f"policy.path={hub_id}: no such folder, and not on the hub or in its cache: {error}") from None
