"""Checks GDPO's advantages: by hand, against verl's own function, and for rewards that only some tasks have."""

import numpy as np
import pytest
import torch

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from omegaconf import OmegaConf
from verl.trainer.ppo.core_algos import (
    compute_gdpo_outcome_advantage,
    compute_grpo_outcome_advantage,
    get_adv_estimator_fn,
)
from verl.utils.torch_functional import masked_whiten

from vrft_aug.engine.verl import decoupled_advantage
from vrft_aug.rewards import compose

BOXES = {"localization": {"iou": {"weight": 1.0}}, "detection": {"boxes": {"weight": 1.0}}}
ACCURACY, FORMAT = [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]


def samples(accuracy: list[float], form: list[float], task: str = "classification") -> list[dict]:
    parts = zip(accuracy, form, strict=True)
    return [{"task": task, "accuracy": one, "format": other, "iou": None} for one, other in parts]


def found(rows: list[dict], mask: torch.Tensor, prompts: list[str], objective="accuracy") -> torch.Tensor:
    """As verl asks the estimator of its registry."""
    decoupled_advantage.register(rows, compose(objective))
    scores = torch.full(mask.shape, torch.nan)  # the sum of the rewards is not used
    estimate = get_adv_estimator_fn("gdpo")
    advantages, returns = estimate(token_level_rewards=scores, response_mask=mask, config=None,
                                   index=np.array(prompts, dtype=object), batch={}, non_tensor_batch={})  # fmt: skip
    assert torch.equal(advantages, returns)
    return advantages


def test_the_advantages_differ_from_grpos_as_computed_by_hand():
    """accuracy: mean 1/2, deviation 0.577; format: mean 3/4, deviation 1/2; 0.9 and 0.1 of them, divided by 0.961."""
    mask = torch.ones(4, 1)
    gdpo = found(samples(ACCURACY, FORMAT), mask, ["a"] * 4).flatten().tolist()
    assert gdpo == pytest.approx([0.8629, 0.8629, -0.7589, -0.9669], abs=1e-4)
    scores = torch.tensor([[1.0], [1.0], [0.1], [0.0]])
    grpo = compute_grpo_outcome_advantage(scores, mask, np.array(["a"] * 4))[0].flatten().tolist()
    assert grpo == pytest.approx([0.8636, 0.8636, -0.7727, -0.9545], abs=1e-4)


def batch() -> tuple[list[float], list[float], torch.Tensor, list[str]]:
    """Three groups of four; responses of one to six tokens."""
    random = np.random.default_rng(0)
    accuracy, form = (random.integers(0, 2, 12).astype(float).tolist() for _ in range(2))
    mask = (torch.arange(6) < torch.tensor(random.integers(1, 7, (12, 1)))).long()
    return accuracy, form, mask, [name for name in "abc" for _ in range(4)]


def test_verls_own_function_gives_the_same_numbers():
    accuracy, form, mask, prompts = batch()
    config = OmegaConf.create({"gdpo_reward_keys": ["accuracy", "format"], "gdpo_reward_weights": [0.9, 0.1]})
    attention = torch.cat([torch.ones(12, 3).long(), mask], 1)
    theirs, _ = compute_gdpo_outcome_advantage(
        torch.zeros(12, 6), mask, np.array(prompts), config=config,
        non_tensor_batch={"accuracy": accuracy, "format": form},
        batch={"prompts": torch.zeros(12, 3), "attention_mask": attention},
    )  # fmt: skip
    assert torch.allclose(found(samples(accuracy, form), mask, prompts), theirs, atol=1e-4)


def test_a_single_reward_gives_grpos_advantages_whitened():
    accuracy, form, mask, prompts = batch()
    task = {"accuracy": {"weight": 2.0}}
    objective = {"classification": task, "grading": task, "question": task} | BOXES
    grpo, _ = compute_grpo_outcome_advantage(torch.tensor(accuracy).unsqueeze(1), mask, np.array(prompts))
    whitened = masked_whiten(2 * grpo, mask) * mask
    assert torch.allclose(found(samples(accuracy, form), mask, prompts, objective), whitened, atol=1e-4)


def test_a_reward_that_a_task_does_not_have_is_left_out():
    mask = torch.ones(8, 1)
    boxes = [{"task": "localization", "accuracy": None, "format": 1.0, "iou": iou} for iou in (0.9, 0.1, 0.5, 0.5)]
    mixed = found([*samples(ACCURACY, FORMAT), *boxes], mask, ["a"] * 4 + ["b"] * 4)
    assert mixed.isfinite().all()
    assert mixed[4] == pytest.approx(-mixed[5].item()) and mixed[4] > 1 and mixed[6].abs() < 1e-6


def test_a_penalty_and_a_clip_count_as_in_the_score():
    task = {"accuracy": {"weight": -2.0, "clip": 0.5}}
    objective = {"classification": task, "grading": task, "question": task} | BOXES
    values = [1.0, 0.25, 0.1, 0.0]  # -0.5, -0.5, -0.2, 0 after the clip
    turned = found(samples(values, FORMAT), torch.ones(4, 1), ["a"] * 4, objective).flatten()
    assert turned[0] == turned[1] < turned[2] < turned[3]
