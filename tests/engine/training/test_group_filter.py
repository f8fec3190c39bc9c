"""Checks the settings of dynamic sampling: what they mean, what is refused, and how many prompts a round draws."""

import pytest
from repository import composed

from vrft_aug.engine.training.group_filter import GroupFilter, check
from vrft_aug.errors import InputError

RULE = GroupFilter("score", most=10, at_once=2)


def test_it_is_off_unless_the_variant_turns_it_on():
    assert GroupFilter.of(composed("grpo").algorithm.filter_groups) is None
    assert GroupFilter.of(None) is None
    config = composed("grpo", "variant=dapo", "algorithm.filter_groups.metric=acc")
    assert GroupFilter.of(config.algorithm.filter_groups) == GroupFilter("acc", most=10, at_once=1)


@pytest.mark.parametrize(
    ("drawn", "kept", "expected"),
    [(16, 12, 6),    # 4 are missing, and 12 of 16 were kept: 16 / 3
     (16, 16, 0), (40, 20, 0),
     (16, 0, 32),    # twice the batch at once
     (150, 5, 10),   # 160 in all
     (160, 15, 0)],  # the limit
)  # fmt: skip
def test_a_round_draws_as_many_prompts_as_the_kept_share_promises(drawn, kept, expected):
    assert RULE.next(16, drawn, kept) == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [(["variant=dapo", "algorithm.filter_groups.max_num_gen_batches=0"], "max_num_gen_batches=0: must be 1 or more"),
     (["variant=dapo", "algorithm.filter_groups.metric=iuo"], "metric=iuo: the objective has no such part; known: "
                                                              "reward, score, acc, accuracy, format, iou"),
     (["variant=dapo", "actor_rollout_ref.rollout.n=1"], r"needs actor_rollout_ref.rollout.n=2 or more"),
     (["variant=gdpo", "algorithm.use_kl_in_reward=true"], "set algorithm.use_kl_in_reward=false")],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_ray_starts(overrides, message):
    with pytest.raises(InputError, match=message):
        check(composed("grpo", *overrides))


@pytest.mark.parametrize("overrides", [[], ["variant=dapo"], ["variant=gdpo"], ["actor_rollout_ref.rollout.n=1"]])
def test_the_rest_is_not(overrides):
    check(composed("grpo", *overrides))
