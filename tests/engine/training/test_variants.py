"""Checks the defining number of each variant of GRPO, in verl's own losses and advantages with the composed config."""

import math
import re

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from repository import CONF, choices, composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, get_policy_loss_fn
from verl.trainer.ppo.utils import need_reference_policy
from verl.utils.config import omega_conf_to_dataclass

from vrft_aug.engine.training import verl_settings

VARIANTS = ("cispo", "dapo", "dr_grpo", "gdpo", "grpo", "gspo", "kl_free", "sapo")
GPU = ("hardware=gpu_2x80g", "policy=qwen2_5_vl_3b")
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])  # a response of four tokens, and one of two
OLD = torch.full((2, 4), -1.0)


def variant(name: str, *overrides: str) -> DictConfig:
    return composed("grpo", f"variant={name}", *overrides)


def gradient(name: str, log_ratio: list[list[float]], advantages: list[float], mask: torch.Tensor = MASK) -> list:
    """The gradient of verl's loss by each log-probability, as verl/workers/utils/losses.py calls it."""
    actor = omega_conf_to_dataclass(variant(name).actor_rollout_ref.actor)
    actor.global_batch_info.update(dp_size=1, batch_num_tokens=int(mask.sum()), global_batch_size=len(mask),
                                   loss_scale_factor=actor.loss_scale_factor)  # fmt: skip
    new = (OLD + torch.tensor(log_ratio)).requires_grad_()
    loss, _ = get_policy_loss_fn(actor.policy_loss.loss_mode)(
        old_log_prob=OLD, log_prob=new, advantages=torch.tensor(advantages).unsqueeze(1).expand(2, 4),
        response_mask=mask, loss_agg_mode=actor.loss_agg_mode, config=actor,
    )  # fmt: skip
    loss.backward()
    return new.grad.tolist()


ZERO = [[0.0] * 4] * 2


def ratio(*values: float) -> list[list[float]]:
    """Log-ratios of the first response; the second has a ratio of 1."""
    return [list(map(math.log, values)), [0.0] * 4]


def test_every_variant_is_tested_short_and_names_its_source():
    assert choices("variant") == sorted(VARIANTS)
    for name in VARIANTS:
        lines = (CONF / "variant" / f"{name}.yaml").read_text().splitlines()
        assert lines[0] == "# @package _global_" and len(lines) <= 16  # 15 and the package
        assert re.search(r"https://arxiv\.org/abs/\d{4}\.\d{5}$|https://arxiv\.org/abs/2402\.03300", lines[1])


@pytest.mark.parametrize("name", VARIANTS)
def test_verls_own_classes_take_the_variant_and_it_has_its_name(name):
    config = variant(name)
    assert config.variant_name == name
    assert omega_conf_to_dataclass(config.actor_rollout_ref.actor) and omega_conf_to_dataclass(config.algorithm)


def test_the_papers_grpo_keeps_the_kl_divergence_and_the_others_what_their_papers_keep():
    assert {name for name in VARIANTS if need_reference_policy(variant(name))} == {"gdpo", "grpo", "gspo", "sapo"}
    coefficients = {name: variant(name).actor_rollout_ref.actor.kl_loss_coef for name in VARIANTS}
    assert coefficients == {name: 0.04 if name in ("gdpo", "grpo", "gspo", "sapo") else 0.0 for name in VARIANTS}


def test_grpo_clips_at_a_ratio_of_1_2_and_takes_the_mean_over_tokens():
    found = gradient("grpo", ratio(1.19, 1.21, 1.0, 1.0), [1.0, 1.0])
    assert found[0] == pytest.approx([-1.19 / 6, 0, -1 / 6, -1 / 6])
    assert found[1] == pytest.approx([-1 / 6, -1 / 6, 0, 0])


def test_dapo_clips_higher_and_its_loss_is_per_token():
    found = gradient("dapo", ratio(1.27, 1.29, 1.0, 1.0), [1.0, 1.0])
    assert found[0] == pytest.approx([-1.27 / 6, 0, -1 / 6, -1 / 6])  # GRPO's would be 0 in the first place
    assert found[1][:2] == pytest.approx(found[0][2:])  # a token counts alike in a long and a short response
    assert gradient("dapo", ratio(0.79, 1.0, 1.0, 1.0), [-1.0, 1.0])[0][0] == 0  # the lower bound is GRPO's


def test_dr_grpo_divides_neither_by_the_deviation_nor_by_the_length():
    config = variant("dr_grpo")
    scores, prompts = torch.tensor([[1.0], [0.0], [0.0], [0.0]]), np.array(["a"] * 4)
    found = {normed: compute_grpo_outcome_advantage(scores, torch.ones(4, 1), prompts, norm_adv_by_std_in_grpo=normed)
             for normed in (True, False)}  # fmt: skip
    assert config.algorithm.norm_adv_by_std_in_grpo is False
    assert found[False][0].flatten().tolist() == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert found[True][0].flatten().tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-5)
    budget = config.policy.max_response_length
    long, short = gradient("dr_grpo", ZERO, [1.0, 1.0])
    assert long == pytest.approx([-1 / 2 / budget] * 4) and short[:2] == pytest.approx(long[:2])
    alone = gradient("dr_grpo", ZERO, [1.0, 1.0], MASK[:, :2].repeat(1, 2) * 0 + torch.tensor([[1, 0, 0, 0]]))
    assert alone[0][0] == pytest.approx(long[0])  # whatever the longest response of the batch


def test_gspos_ratio_is_per_response():
    log_ratio = [[4e-4, -1e-4, 2e-4, 1e-4], [0.0] * 4]
    found = gradient("gspo", log_ratio, [1.0, 1.0])
    assert found[0] == pytest.approx([-math.exp(1.5e-4) / 8] * 4, rel=1e-6)  # the mean of the four, for each token
    assert gradient("grpo", log_ratio, [1.0, 1.0])[0][0] == pytest.approx(-math.exp(4e-4) / 6, rel=1e-6)
    assert gradient("gspo", [[5e-4] * 4, [0.0] * 4], [1.0, 1.0])[0] == [0] * 4  # beyond 1 + 4e-4 as a whole
    assert found[1][:2] == pytest.approx([-1 / 4] * 2)  # and the loss is a mean over responses


def test_cispo_clips_the_weight_and_loses_no_token():
    found = gradient("cispo", ratio(2.0, 0.5, 1.1, 1.0), [1.0, 1.0])
    assert found[0] == pytest.approx([-1.2 / 6, -0.5 / 6, -1.1 / 6, -1 / 6])
    assert gradient("grpo", ratio(2.0, 0.5, 1.1, 1.0), [1.0, 1.0])[0][0] == 0


@pytest.mark.parametrize(("advantage", "tau"), [(1.0, 1.0), (-1.0, 1.05)])
def test_sapos_gate_closes_smoothly_and_faster_for_a_negative_advantage(advantage, tau):
    """d gate / d log ratio = 4 s (1 - s) ratio, s = sigmoid(tau (ratio - 1)): 1 where the ratio is 1."""

    def slope(one: float) -> float:
        gate = 1 / (1 + math.exp(-tau * (one - 1)))
        return 4 * gate * (1 - gate) * one

    found = gradient("sapo", ratio(1.0, 1.3, 3.0, 0.7), [advantage, 1.0])[0]
    assert found == pytest.approx([-advantage * slope(one) / 8 for one in (1.0, 1.3, 3.0, 0.7)], rel=1e-5)


def test_gdpo_has_an_estimator_of_its_own_and_grpos_loss():
    config = variant("gdpo")
    assert config.algorithm.adv_estimator == "gdpo"  # its numbers: tests/engine/verl/test_decoupled_advantage.py
    assert gradient("gdpo", ratio(1.19, 1.21, 1.0, 1.0), [1.0, 1.0]) == gradient(
        "grpo", ratio(1.19, 1.21, 1.0, 1.0), [1.0, 1.0]
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_with_a_loss_of_its_own_keeps_the_pass_of_old_log_probabilities(name):
    config = variant(name, *GPU)
    plain = config.actor_rollout_ref.actor.policy_loss.loss_mode == "vanilla"
    assert plain == (name not in ("gspo", "cispo", "sapo"))
    assert verl_settings.skips_old_log_probs(config) == plain


def test_four_updates_per_step_keep_it_too():
    config = composed("grpo", "experiment=v_rft_four_updates", *GPU)
    assert config.actor_rollout_ref.actor.ppo_mini_batch_size == 64
    assert not verl_settings.skips_old_log_probs(config)
