"""Checks when a step needs no pass for old log-probabilities, that the gradient is then the same, and fused kernels."""

import pytest
import torch
from repository import composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.trainer.ppo.core_algos import get_policy_loss_fn
from verl.utils.config import omega_conf_to_dataclass

from vrft_aug.engine.training import verl_settings
from vrft_aug.experiments.model_size import PUBLISHED

GPU = ("hardware=gpu_2x80g", "policy=qwen2_5_vl_3b")


def gradient(config, old: torch.Tensor, log_probs: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor):
    """The gradient of verl's own loss, as verl/workers/utils/losses.py calls it."""
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    actor.global_batch_info.update(dp_size=1, batch_num_tokens=int(mask.sum()), global_batch_size=len(mask))
    actor.global_batch_info["loss_scale_factor"] = actor.loss_scale_factor
    new = log_probs.clone().requires_grad_()
    loss, metrics = get_policy_loss_fn(actor.policy_loss.loss_mode)(
        old_log_prob=old, log_prob=new, advantages=advantages, response_mask=mask,
        loss_agg_mode=actor.loss_agg_mode, config=actor, rollout_is_weights=None,
    )  # fmt: skip
    loss.backward()
    return new.grad, metrics


@pytest.mark.parametrize("variant", ["grpo", "dapo", "dr_grpo"])
def test_without_the_pass_the_gradient_is_the_same(variant):
    random = torch.Generator().manual_seed(0)
    log_probs = -torch.rand(8, 20, generator=random) * 5
    advantages = torch.randn(8, 1, generator=random).expand(8, 20) * 3  # of both signs, some beyond the dual clip
    mask = torch.arange(20) < torch.randint(5, 20, (8, 1), generator=random)
    rollout = log_probs + torch.randn(8, 20, generator=random) * 0.3  # vLLM's, in bfloat16: others
    config = composed("grpo", *GPU, f"variant={variant}").copy()
    expected, _ = gradient(config, log_probs, log_probs, advantages, mask)
    assert not torch.allclose(gradient(config, rollout, log_probs, advantages, mask)[0], expected)
    verl_settings.skip_old_log_probs(config)
    assert config.algorithm.rollout_correction.bypass_mode
    found, metrics = gradient(config, rollout, log_probs, advantages, mask)
    assert torch.equal(found, expected) and found.abs().sum() > 0
    assert metrics["rollout_corr/kl"] != 0  # how far vLLM and the actor are apart


@pytest.mark.parametrize("override", [
    "hardware.skip_old_log_probs=false", "schedule.mini_batch_size=128", "actor_rollout_ref.actor.ppo_epochs=2",
    "actor_rollout_ref.actor.policy_loss.loss_mode=gspo", "algorithm.use_kl_in_reward=true",
    "algorithm.rollout_correction.rollout_is=token", "algorithm.rollout_correction.rollout_rs=token_k1",
    "algorithm.rollout_correction.bypass_mode=true", "trainer.v1.trainer_mode=separate_async",
])  # fmt: skip
def test_whatever_uses_them_keeps_the_pass(override):
    before = composed("grpo", *GPU, override)
    config = before.copy()
    verl_settings.skip_old_log_probs(config)
    assert config == before


def test_the_cpu_takes_the_rollouts_as_before():
    config = composed("grpo").copy()
    verl_settings.skip_old_log_probs(config)
    assert config.algorithm.rollout_correction.bypass_mode
    assert config.actor_rollout_ref.actor.policy_loss.loss_mode == "vanilla"


def test_fused_kernels_need_tied_embeddings(tmp_path):
    for name, tied in (("qwen2_5_vl_3b", True), ("qwen2_5_vl_7b", False)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text((PUBLISHED / f"{name}.json").read_text())
        assert verl_settings.takes_fused_kernels(str(folder)) == tied
