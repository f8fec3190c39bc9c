"""Refuses a training whose experiment is another recipe's, or whose rows do not fit policy, prompt or schedule."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.data.preparation.contract import check_frame, check_rows
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION


def check_recipe(config: DictConfig, recipe: str) -> None:
    """Raise InputError if the chosen experiment is not a training of this recipe, as v_rft is none of sft.py."""
    if config.experiment_name and (wanted := config.method.train) != recipe:
        remedy = f"run recipes/{wanted}.py" if wanted else "run recipes/evaluate.py"
        does = f"trains with {wanted}" if wanted else "trains nothing"
        if stages := config.method.stages:
            does, remedy = f"is a pipeline of {', '.join(stages)}", f"run make {config.experiment_name}"
        raise InputError(f"experiment={config.experiment_name} {does}, and this is recipes/{recipe}.py; {remedy}, or "
                         "choose another experiment")  # fmt: skip


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
