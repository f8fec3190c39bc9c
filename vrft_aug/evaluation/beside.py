"""Says what an evaluation is compared with: which other answers it also collects, and why it lacks some of them.

Each lies in a folder of its own inside the evaluation's folder: the policy's answers to altered rows (conditions), to
the validation split, and the answers of ordinary classifiers (opponents).
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from vrft_aug.data.rows.parquet_files import splits_in
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.evaluation.answers.conditions import CONDITIONS, Asked
from vrft_aug.evaluation.answers.opponents import OPPONENTS
from vrft_aug.rewards.parsing import QUESTION

VALIDATION = "validation"
TITLES = {name: one.title for name, one in (CONDITIONS | OPPONENTS).items()} | {VALIDATION: "validation split"}


@dataclass(frozen=True)
class Beside:
    """conditions, opponents: the names of those that are possible. without: {name that was asked for: why not}."""

    asked: Asked
    conditions: list[str]
    opponents: list[str]
    validation: bool
    without: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The folders that the evaluation will have."""
        return [*self.conditions, *([VALIDATION] if self.validation else []), *self.opponents]

    @classmethod
    def of(cls, config: DictConfig, rows: pd.DataFrame) -> "Beside":
        """What the config of evaluate.py asks for, as far as the rows of its split allow it."""
        folder, asked = Path(config.parquet), Asked(Dataset.of(config.dataset), Prompt.of(config.prompt), config.seed)
        why = {name: CONDITIONS[name].obstacle(rows, asked) for name in config.conditions}
        why |= {name: OPPONENTS[name].obstacle(folder, config.split, rows) for name in config.opponents}
        if config.validation:
            why[VALIDATION] = _no_validation(folder, config.split)
        expected = "prior" if config.dataset.task == QUESTION else "pixels"  # by every report
        left = {} if expected in config.opponents else {expected: "it is not in opponents"}
        return cls(
            asked,
            [name for name in config.conditions if not why[name]],
            [name for name in config.opponents if not why[name]],
            why.get(VALIDATION) == "",
            {name: reason for name, reason in why.items() if reason} | left,
        )


def _no_validation(folder: Path, split: str) -> str:
    if split == "val":
        return "the validation split itself is evaluated"
    return "" if "val" in splits_in(folder) else f"{folder / 'val.parquet'} does not exist"
