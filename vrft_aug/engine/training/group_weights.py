"""Weighs the groups of GRPO by the rarity of their class, the agreement of the readers, and the policy's own spread.

A group is the samples of one prompt. Its weight multiplies their advantages (engine/verl/weighted.py); the KL term
stays as it is. Rarity and agreement are facts about the row, scaled so that their mean over the training rows, as the
training draws them, is 1: a row's weight does not depend on its neighbours in the batch. The spread is known only when
the policy has answered, and is scaled so that its mean over the groups of a step is 1.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig

from vrft_aug.data.setting_checks import written
from vrft_aug.data.settings import Settings
from vrft_aug.engine.training.row_files import found_files
from vrft_aug.errors import InputError
from vrft_aug.rewards.expected_mfrs import given_classes
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION
from vrft_aug.rewards.row import ExtraInfo

LOWEST = {"rarity": 0, "agreement": 0, "spread": -1}
COLUMNS = ["data_source", "reward_model.ground_truth", *(f"extra_info.{key}" for key in ("task", "classes", "aliases",
           "readers"))]  # fmt: skip


@dataclass(frozen=True)
class WeightRule(Settings):
    """The group `group_weight` of conf/grpo.yaml: how strong each weight is; 0 is off."""

    rarity: float
    agreement: float
    spread: float

    def __post_init__(self) -> None:
        for key, lowest in LOWEST.items():
            value = getattr(self, key)
            if type(value) not in (int, float) or not lowest <= value <= 1:
                raise InputError(f"group_weight.{key}={written(value)}: must be a number from {lowest} to 1; 0 is off")


@dataclass(frozen=True)
class GroupWeights:
    """The weights of one training. counts: training rows of each class; scale: makes the mean of `of_row` 1."""

    rule: WeightRule
    counts: Mapping[str, int]
    scale: float = 1.0

    @classmethod
    def of(cls, config: DictConfig) -> "GroupWeights | None":
        """Read what the training rows of grpo.yaml's config say; None where all weights are off.

        Raises InputError for a strength out of range, for rows of boxes, for the rarity of questions, and for
        `agreement` without two readers.
        """
        rule = WeightRule.of(config.group_weight)
        if rule == WeightRule(0, 0, 0):
            return None
        return cls.of_rows(rule, _read(found_files(config.data.train_files)), config.data.balanced)

    @classmethod
    def of_rows(cls, rule: WeightRule, rows: Sequence[Mapping[str, Any]], balanced: bool) -> "GroupWeights":
        """rows: of COLUMNS. balanced: the training draws each class equally often, otherwise each row."""
        if any(row["extra_info"]["task"] in BOX_TASKS for row in rows):
            raise InputError("group_weight: boxes have neither classes nor readers; set group_weight.rarity=0, "
                             "group_weight.agreement=0 and group_weight.spread=0")  # fmt: skip
        if rule.rarity and any(row["extra_info"]["task"] == QUESTION for row in rows):
            raise InputError(f"group_weight.rarity={rule.rarity}: each question has options of its own, which are no "
                             "classes that could be rare; set group_weight.rarity=0")  # fmt: skip
        if rule.agreement and not any(len(given_classes(row["extra_info"])) > 1 for row in rows):
            raise InputError(f"group_weight.agreement={rule.agreement}: no training row has the grades of two readers; "
                             "name them by dataset.loader.readers, or set group_weight.agreement=0")  # fmt: skip
        plain = cls(rule, Counter(map(label, rows)))
        found: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            found[label(row)].append(plain.of_row(row))
        means = map(fmean, found.values()) if balanced else (one for several in found.values() for one in several)
        mean = fmean(means)
        return cls(rule, plain.counts, 1 / mean if mean else 1.0)

    def of_row(self, row: Mapping[str, Any]) -> float:
        """scale * n ** -rarity * (1 - agreement * (1 - a)): n rows have its class, and its readers agree by a."""
        rare = self.counts[label(row)] ** -self.rule.rarity
        return self.scale * rare * (1 - self.rule.agreement * (1 - agreement(row["extra_info"])))

    def of_groups(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[Sequence[str]]) -> list[float]:
        """The weight of each group of a step: that of its row, times u(spread) / mean u over the groups.

        answers: what each sample of a group answers. u(v) = 1 - s (1 - v) for a strength s of 0 or more: a group whose
        samples differ weighs more. u(v) = 1 + s v for s below 0: it weighs less. If all u are 0, spread has no effect.
        """
        strength = self.rule.spread
        spreads = [spread(group) for group in answers]
        found = [1 - strength * (1 - v) if strength >= 0 else 1 + strength * v for v in spreads]
        mean = fmean(found)
        return [self.of_row(row) * (one / mean if mean else 1) for row, one in zip(rows, found, strict=True)]


def label(row: Mapping[str, Any]) -> str:
    """The class of a row, with its data set: "0" of two data sets is two classes."""
    return f"{row['data_source']}: {row['reward_model']['ground_truth']}"


def agreement(row: ExtraInfo) -> float:
    """How far the readers agree, from 0 to 1: the mean over their pairs. 1 where fewer than two gave a class.

    Two grades agree by 1 - distance / (highest - lowest grade), two classes by 1 if they are equal, else by 0.
    """
    given = given_classes(row)
    if len(given) < 2:
        return 1.0
    if row["task"] != "grading":
        return fmean(one == other for one, other in combinations(given, 2))
    grades = [int(name) for name in row["classes"]]
    widest = max(grades) - min(grades)
    return 1 - fmean(abs(int(one) - int(other)) for one, other in combinations(given, 2)) / (widest or 1)


def spread(answers: Sequence[str]) -> float:
    """How far the answers to one prompt differ, from 0 (all equal) to 1 (all different): entropy / log of their number.

    An answer that cannot be read is an answer too: "".
    """
    shares = [count / len(answers) for count in Counter(answers).values()]
    return -sum(share * math.log(share) for share in shares) / math.log(len(answers)) if len(shares) > 1 else 0.0


def measures(weights: Iterable[float]) -> dict[str, float]:
    """What a step logs of the weights of its groups."""
    found = list(weights)
    return {"group_weight/mean": fmean(found), "group_weight/min": min(found), "group_weight/max": max(found)}


def _read(files: Sequence[str]) -> list[dict[str, Any]]:
    return [row for file in files for row in pq.ParquetFile(file).read(columns=COLUMNS).to_pylist()]
