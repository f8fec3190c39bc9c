"""Which prompts of a step are kept: those followed through the run, and those whose scores differ most."""

import pytest
from repository import composed

from vrft_aug.engine.training.rollout_rule import RolloutRule
from vrft_aug.errors import InputError


def rule(**changed: object) -> RolloutRule:
    return RolloutRule(**{"keep": True, "followed": 4, "mixed": 2, "megabytes": 64} | changed)


def test_followed_prompts_are_spread_over_the_rows():
    assert rule().places(100) == [0, 25, 50, 75]
    assert rule().places(3) == [0, 1, 2]
    assert rule(followed=0).places(100) == []


def test_the_most_mixed_come_first_and_the_earlier_of_equals():
    scores = {"d": [1, 1, 1], "c": [0, 1, 0.5], "b": [0, 1, 1], "a": [0, 0, 1], "e": [0.9, 1, 1]}
    assert rule(mixed=3).most_mixed(scores, without=set()) == ["a", "b", "c"]
    assert rule(mixed=3).most_mixed(scores, without={"b"}) == ["a", "c", "e"]
    assert rule(mixed=9).most_mixed(scores, without=set()) == ["a", "b", "c", "e", "d"]


def test_one_key_turns_it_off():
    assert RolloutRule.of_config(composed("grpo")) == rule(mixed=4)
    assert RolloutRule.of_config(composed("grpo", "rollouts.keep=false")) is None
    assert RolloutRule.of_config(composed("grpo", "rollouts.mixed=0", "rollouts.followed=0")) is None


@pytest.mark.parametrize(
    ("key", "value"), [("followed", -1), ("mixed", 1.5), ("megabytes", 0), ("keep", "yes"), ("track", 1)]
)
def test_a_setting_that_cannot_be_is_named(key, value):
    with pytest.raises(InputError, match=rf"^rollouts\.{key}={value}: must be"):
        rule(**{key: value})
