"""Reads and checks verl's `algorithm.filter_groups` (dynamic sampling): which groups are replaced, and how often.

verl 0.9.1's own replay buffer ignores `max_num_gen_batches`; ours (engine/verl/dynamic_sampling.py) ends the training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from omegaconf import DictConfig

from vrft_aug.errors import InputError
from vrft_aug.rewards import Objective, compose

KEY = "algorithm.filter_groups"
SCORE = "reward"  # verl's name of the score


@dataclass(frozen=True)
class GroupFilter:
    """metric: the part of a sample's result that must differ within a group. most, at_once: prompts per prompt of a
    batch, all together and at the same time."""

    metric: str
    most: int
    at_once: int

    @staticmethod
    def of(settings: Mapping[str, Any] | None) -> "GroupFilter | None":
        """None: dynamic sampling is off. Raises InputError for a limit below 1."""
        if not settings or not settings["enable"]:
            return None
        found = {key: settings[key] for key in ("max_num_gen_batches", "max_inflight_gen_batches")}
        for key, value in found.items():
            if value < 1:
                raise InputError(f"{KEY}.{key}={value}: must be 1 or more; without a limit, a training whose groups "
                                 "are all equal would never end")  # fmt: skip
        metric = "score" if settings["metric"] == SCORE else settings["metric"]
        return GroupFilter(metric, *found.values())

    def next(self, batch: int, drawn: int, kept: int) -> int:
        """How many prompts to draw next, by the share of those kept so far; 0: the limit is reached, or none missing.

        batch: prompts of a full batch; drawn, kept: prompts until now.
        """
        expected = ceil((batch - kept) * drawn / max(kept, 1))
        return max(0, min(expected, self.at_once * batch, self.most * batch - drawn))


def check(config: DictConfig) -> None:
    """Raise InputError where the variant's dynamic sampling or GDPO cannot work. config: of grpo.yaml."""
    objective, algorithm = compose(config.objective), config.algorithm
    if (rule := GroupFilter.of(algorithm.filter_groups)) and rule.metric not in (known := _parts(objective)):
        raise InputError(f"{KEY}.metric={rule.metric}: the objective has no such part; known: {', '.join(known)}")
    if rule and config.actor_rollout_ref.rollout.n < 2:
        raise InputError(f"{KEY}.enable=true needs actor_rollout_ref.rollout.n=2 or more: one response differs from "
                         "none, so that every group would be replaced")  # fmt: skip
    if algorithm.adv_estimator == "gdpo" and algorithm.use_kl_in_reward:
        raise InputError("algorithm.adv_estimator=gdpo normalises the rewards of the objective alone: set "
                         "algorithm.use_kl_in_reward=false")  # fmt: skip


def _parts(objective: Objective) -> tuple[str, ...]:
    return (SCORE, "score", "acc", *objective.parts)
