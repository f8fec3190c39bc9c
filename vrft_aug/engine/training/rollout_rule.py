"""Decides which prompts of a step are kept with their answers: some through the whole run, others for mixed scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import pstdev

from omegaconf import DictConfig

from vrft_aug.data.setting_checks import check_number, check_type
from vrft_aug.data.settings import Settings


@dataclass(frozen=True)
class RolloutRule(Settings):
    """The group `rollouts` of conf/grpo.yaml.

    followed: prompts of each split that are kept whenever they occur. mixed: prompts of a step whose scores differ
    most. megabytes: of all files together. track: show them in the trackers of `trainer.logger`.
    """

    keep: bool
    followed: int
    mixed: int
    megabytes: int
    track: bool = True

    def __post_init__(self) -> None:
        for key in ("keep", "track"):
            check_type(f"rollouts.{key}", getattr(self, key), bool, "true or false")
        check_number("rollouts.followed", self.followed, 0)
        check_number("rollouts.mixed", self.mixed, 0)
        check_number("rollouts.megabytes", self.megabytes, 1)

    @classmethod
    def of_config(cls, config: DictConfig) -> "RolloutRule | None":
        """None: nothing is kept. config: grpo.yaml's. Raises InputError for a malformed number."""
        rule = cls.of(config.rollouts)
        return rule if rule.keep and rule.followed + rule.mixed else None

    def places(self, rows: int) -> list[int]:
        """The places of the followed prompts among `rows` rows: spread evenly, so that rows by class give several."""
        count = min(self.followed, rows)
        return [place * rows // count for place in range(count)]

    def most_mixed(self, scores: Mapping[str, Sequence[float]], without: set[str]) -> list[str]:
        """The prompts whose scores have the largest standard deviation; of equals, the earlier. scores: by prompt."""
        others = sorted(scores.keys() - without)
        return sorted(others, key=lambda prompt: -pstdev(scores[prompt]))[: self.mixed]
