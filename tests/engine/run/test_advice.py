"""A training says at its start when the tiny policy meets a real data set, and what to use in its place."""

import pytest
from repository import composed

from vrft_aug.engine.run.advice import before_training


@pytest.mark.parametrize("recipe", ["sft", "grpo"])
def test_the_tiny_policy_on_real_images_comes_with_advice(recipe):
    (line,) = before_training(composed(recipe, "dataset=retina"))
    assert "policy=tiny on dataset=retina" in line and "policy=qwen2_5_vl_3b hardware=gpu_2x80g" in line
    composed(recipe, "dataset=retina", "policy=qwen2_5_vl_3b", "hardware=gpu_2x80g")  # what it advises exists


@pytest.mark.parametrize("overrides", [["dataset=phantom"], ["dataset=phantom_grade"],
                                       ["dataset=retina", "policy=qwen2_5_vl_3b"]])  # fmt: skip
def test_nothing_is_said_where_the_policy_fits(overrides):
    assert before_training(composed("grpo", *overrides)) == []
