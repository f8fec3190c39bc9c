"""Refuses prepared rows that do not fit the policy, the prompt or the data set of a training or an evaluation."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vrft_aug.data.policy_files import read_settings
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import BOX_TASKS

FRAME = ("min_pixels", "max_pixels", "patch", "merge", "box_frame")  # what decides how a policy sees and states a box


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest that preparation wrote beside the rows in `folder`. Raises InputError if there is none."""
    file = folder / "manifest.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{file} does not exist: it says for which policy and prompt the rows are; prepare them with "
                         "recipes/prepare.py, or name the folder that it wrote") from None
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); prepare again") from None


def check_rows(folder: Path, policy: Policy, dataset: Dataset, prompt: Prompt) -> None:
    """Raise InputError unless the rows in `folder` were prepared for this policy, data set and prompt."""
    check_frame(folder, policy)
    manifest = read_manifest(folder)
    if (name := manifest["dataset"]["name"]) != dataset.name:
        raise InputError(f"{folder}: the rows are of dataset={name}, but dataset={dataset.name} is chosen; choose "
                         f"dataset={name}, or other rows with parquet=<folder>")
    then, now = (loader.get("task_seed") for loader in (manifest["dataset"]["loader"], dataset.loader))
    if then != now:  # the classes and the prompt of two tasks may be the same
        raise InputError(f"{folder}: the rows are of task_seed={then}, but task_seed={now} is chosen; choose "
                         f"task_seed={then}, or other rows with parquet=<folder>")
    if manifest["dataset"]["classes"] != dataset.classes:
        raise InputError(f"{folder}: the rows have the classes {', '.join(manifest['dataset']['classes'])}, but "
                         f"conf/dataset/{name}.yaml has {', '.join(dataset.classes)}; prepare again")
    if (most := manifest["dataset"].get("images", 1)) != dataset.images:
        raise InputError(f"{folder}: the rows have up to {most} images per prompt, but dataset.images={dataset.images}"
                         f"; set dataset.images={most}, or prepare again")
    if changed := _different(asdict(Prompt.of(manifest["prompt"])), asdict(prompt), "prompt"):
        raise InputError(f"{folder}: the rows have another prompt ({changed}); choose "
                         f"prompt={manifest['prompt']['name']}, or other rows with parquet=<folder>")


def check_frame(folder: Path, policy: Policy) -> None:
    """Raise InputError unless the policy sees the images of the rows in `folder`, and states boxes, as they assume."""
    manifest = read_manifest(folder)
    then = manifest["policy"]
    if changed := _different(then, {key: getattr(policy, key) for key in FRAME}, "policy"):
        raise InputError(f"{folder}: the rows were prepared for policy={then['name']}, and this policy sees other "
                         f"images or states boxes in another frame ({changed}); prepare again for it (policy=, "
                         "policy.path=), or name its rows with parquet=<folder>")
    _check_length(folder, manifest["prompt_tokens"], policy)


def check_classes(policy: str | None, dataset: Dataset, task: str) -> None:
    """Raise InputError if the policy at this path was trained on other classes than the data set has, in any order.

    An external test set must have the names of the training: a policy that learnt "melanoma" and is asked for "MEL" is
    measured by the name. Compared with the last training of the same task; boxes and pretexts teach no class. No
    training of ours, or one of an earlier version, which did not note its classes: nothing to compare.
    """
    trainings = (read_settings(policy) or {}).get("trainings", [])
    same = [one for one in trainings if one.get("task") == task and not (task in BOX_TASKS or one.get("pretext"))]
    if same and set(taught := same[-1]["classes"]) != set(dataset.classes):
        raise InputError(f"policy.path={policy} was trained on dataset={same[-1]['dataset']} with the classes "
                         f"{', '.join(taught)}, but dataset={dataset.name} has {', '.join(dataset.classes)}; give "
                         f"conf/dataset/{dataset.name}.yaml the same classes and prepare again, or set other_classes="
                         "true to ask for classes that the policy has not learnt")


def _check_length(folder: Path, tokens: Mapping[str, int] | None, policy: Policy) -> None:
    """Refuse rows whose longest prompt is longer than the policy takes now. tokens: None, they were not counted."""
    limit = policy.max_prompt_length
    if tokens and limit is not None and tokens["longest"] > limit:
        raise InputError(f"{folder}: the longest prompt has {tokens['longest']} tokens, but policy.max_prompt_length="
                         f"{limit}; raise it, or prepare shorter prompts")


def _different(then: Mapping[str, Any], now: Mapping[str, Any], group: str) -> str:
    """The keys with another value now: "policy.min_pixels: 3136 -> 12544"; empty if there is none."""
    pairs = {key: (then.get(key), value) for key, value in now.items()}
    return ", ".join(f"{group}.{key}: {old} -> {new}" for key, (old, new) in pairs.items() if old != new)
