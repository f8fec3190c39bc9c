"""Refuses an evaluation whose settings or rows cannot work, before a folder is made or a large library is imported."""

from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.data.datasets.sample import SPLITS
from vrft_aug.data.preparation.contract import check_classes, check_rows
from vrft_aug.data.rows.parquet_files import parquet_files, splits_in
from vrft_aug.data.setting_checks import check_choice, check_names, check_number, check_type
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.conditions import CONDITIONS
from vrft_aug.evaluation.answers.opponents import OPPONENTS
from vrft_aug.rewards import compose
from vrft_aug.rewards.objective import check_form, check_knowledge


def check(config: DictConfig) -> None:
    """Raise InputError for a setting that is not allowed, and for rows that do not fit the other settings."""
    for key in ("probabilities", "validation", "other_classes"):
        check_type(key, config[key], bool, "true or false")
    check_names("conditions", config.conditions, tuple(CONDITIONS))
    check_names("opponents", config.opponents, tuple(OPPONENTS))
    check_answers(config)
    dataset, prompt = Dataset.of(config.dataset), Prompt.of(config.prompt)
    if not (config.other_classes or prompt.pretext):
        check_classes(config.policy.path, dataset, prompt.task or dataset.task)


def check_answers(config: DictConfig) -> None:
    """As `check`, for what every recipe that lets a policy answer has: sampling, seed, split, rows."""
    check_sampling(config.sampling)
    check_number("seed", config.seed, 0)
    dataset, prompt, policy = Dataset.of(config.dataset), Prompt.of(config.prompt), Policy.of(config.policy)
    objective, task = compose(config.objective), prompt.task or dataset.task
    check_knowledge(objective, task, prompt.knowledge)
    check_form(objective, task, prompt.form, prompt.confidence)
    folder = Path(config.parquet)
    check_choice("split", config.split, tuple(splits_in(folder)) or SPLITS)
    parquet_files(folder / f"{config.split}.parquet")
    check_rows(folder, policy, dataset, prompt)


def check_sampling(sampling: DictConfig) -> None:
    """Raise InputError for a number of samples or a temperature that makes no sense."""
    check_number("sampling.n", sampling.n, 1)
    if type(sampling.temperature) not in (int, float) or sampling.temperature < 0:
        raise InputError(f"sampling.temperature={sampling.temperature}: must be a number, 0 or more")
    if sampling.n > 1 and sampling.temperature == 0:
        raise InputError(f"sampling.n={sampling.n} greedy samples are all equal: set sampling.temperature above 0")
