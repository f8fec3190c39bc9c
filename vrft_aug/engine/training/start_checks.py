"""Refuses a training whose experiment is another recipe's, or whose rows are for another policy or prompt."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.data.preparation.contract import check_rows
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError


def check_recipe(config: DictConfig, recipe: str) -> None:
    """Raise InputError if the chosen experiment is not a training of this recipe, as v_rft is none of sft.py."""
    if config.experiment_name and (wanted := config.method.train) != recipe:
        remedy = f"run recipes/{wanted}.py" if wanted else "run recipes/evaluate.py"
        does = f"trains with {wanted}" if wanted else "trains nothing"
        raise InputError(f"experiment={config.experiment_name} {does}, and this is recipes/{recipe}.py; {remedy}, or "
                         "choose another experiment")  # fmt: skip


def check_rows_fit(config: DictConfig, files: Sequence[str]) -> Path:
    """Raise InputError if the rows do not fit data set, policy and prompt. Returns the folder of the first file."""
    folders = list(dict.fromkeys(Path(file).parent for file in files))
    prompt = Prompt.of(config.prompt) if len(folders) == 1 else None  # a warm start learns several prompts at once
    for folder in folders:
        check_rows(folder, Dataset.of(config.dataset), Policy.of(config.policy), prompt)
    return folders[0]
