"""Refuses a training whose experiment is another recipe's, whose rows do not fit, or which would freeze everything."""

import re
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.data.preparation.contract import check_frame, check_rows
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.engine.run import policy_size
from vrft_aug.engine.run.freezing import CHOICES, TOWER, is_of_tower
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

OF_THE_TOWER = f"model.{TOWER}.blocks.0.attn.qkv"  # a module of every vision tower that could have an adapter


def check_recipe(config: DictConfig, recipe: str) -> None:
    """Raise InputError if the chosen experiment is not a training of this recipe, as v_rft is none of sft.py."""
    if config.experiment_name and (wanted := config.method.train) != recipe:
        remedy = f"run recipes/{wanted}.py" if wanted else "run recipes/evaluate.py"
        does = f"trains with {wanted}" if wanted else "trains nothing"
        if stages := config.method.stages:
            does, remedy = f"is a pipeline of {', '.join(stages)}", f"run make {config.experiment_name}"
        raise InputError(f"experiment={config.experiment_name} {does}, and this is recipes/{recipe}.py; {remedy}, or "
                         "choose another experiment")  # fmt: skip


def check_freeze(config: DictConfig) -> None:
    """Raise InputError for a `freeze` that is unknown, that the training cannot do, or that leaves nothing to train."""
    freeze, rank, roles = config.freeze, config.hardware.lora_rank, config.get("actor_rollout_ref")
    if roles and roles.actor.get("freeze_vision_tower"):
        raise InputError("actor_rollout_ref.actor.freeze_vision_tower=true: verl never reads it; set freeze=vision")
    if freeze not in CHOICES:
        raise InputError(f"freeze={freeze}: must be one of {', '.join(CHOICES)}; the rest of the policy is trained")
    strategy = roles.actor.strategy if roles else config.engine.strategy
    if freeze != "none" and strategy != "fsdp2":
        raise InputError(f"freeze={freeze}: strategy={strategy} cannot train a part of a policy; set "
                         "hardware.strategy=fsdp2")  # fmt: skip
    excluded = (roles or config).model.exclude_modules
    if freeze == "language" and rank and excluded and re.fullmatch(excluded, OF_THE_TOWER):
        raise InputError(f"freeze=language: with hardware.lora_rank={rank} only the language model has adapters, so "
                         "nothing would be trained; set hardware.lora_rank=0, or freeze=vision")  # fmt: skip


def check_parts(freeze: str, policy: str) -> None:
    """Raise InputError for a `freeze` of a policy whose vision tower is not known. policy: a folder."""
    if freeze != "none" and not any(is_of_tower(name) for name, _ in policy_size.tensors(policy)):
        raise InputError(f"freeze={freeze}: {policy} has no weights named {TOWER}.*, the only vision tower that is "
                         "known; leave freeze out")  # fmt: skip


def check_rows_fit(config: DictConfig, files: Sequence[str]) -> list[Path]:
    """Raise InputError if the rows do not fit policy, data set and prompt. Returns the folders.

    Rows of several folders may be of several data sets or prompts, which a policy then learns together.
    """
    first, *others = dict.fromkeys(Path(file).parent for file in files)
    policy, task = Policy.of(config.policy), config.prompt.task or config.dataset.task
    if config.data.balanced and task in BOX_TASKS:
        raise InputError("schedule.balanced=true: boxes have no classes to balance; set schedule.balanced=false")
    if config.data.balanced and task == QUESTION:
        raise InputError("schedule.balanced=true: each question has options of its own, which are no classes to "
                         "balance; set schedule.balanced=false")  # fmt: skip
    for folder in (first, *others):
        check_frame(folder, policy)
    if not others:
        check_rows(first, policy, Dataset.of(config.dataset), Prompt.of(config.prompt))
    return [first, *others]
