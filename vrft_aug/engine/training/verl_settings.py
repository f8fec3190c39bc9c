"""Chooses settings of verl that follow from batch and policy: log-probabilities before the update, fused kernels."""

from omegaconf import DictConfig, open_dict


def skips_old_log_probs(config: DictConfig) -> bool:
    """Whether a step needs no pass for the log-probabilities before the update. config: of grpo.yaml.

    A step with one update computes them twice: the update's own, before it moves the weights, are the same numbers. The
    ratio of the clipped objective is then 1 and never clipped, so that its gradient is that of -advantage x
    log-probability, verl's `loss_type: reinforce`. Any other loss, and what compares actor and rollout (importance
    weights, the KL divergence as a part of the reward), keeps the pass.
    """
    actor, correction = config.actor_rollout_ref.actor, config.algorithm.rollout_correction
    one_update = actor.ppo_epochs == 1 and actor.ppo_mini_batch_size == config.data.train_batch_size
    one_update = one_update and config.trainer.v1.trainer_mode == "sync"  # else the answers are of older policies
    plain = actor.policy_loss.loss_mode == "vanilla" and not config.algorithm.use_kl_in_reward
    corrected = correction.bypass_mode or correction.rollout_is or correction.rollout_rs
    return bool(config.hardware.skip_old_log_probs and one_update and plain and not corrected)


def skip_old_log_probs(config: DictConfig) -> None:
    """Let verl leave out the pass, in place, if `skips_old_log_probs`.

    verl's bypass mode puts vLLM's log-probabilities in their place; without importance weights, this loss does not use
    them, except in metrics (`actor/rollout_corr/*`).
    """
    if not skips_old_log_probs(config):
        return
    with open_dict(config):
        config.algorithm.rollout_correction.bypass_mode = True
        loss = config.actor_rollout_ref.actor.policy_loss
        loss.loss_mode, loss.rollout_correction = "bypass_mode", {"loss_type": "reinforce"}


def takes_fused_kernels(policy: str) -> bool:
    """Whether the policy's embedding is also its output head. policy: a folder or a hub id.

    verl 0.9.1 reads the weights of the head without its module (verl/models/transformers/qwen2_vl.py:517). FSDP2 wraps
    a head of its own separately, and gathers it only where its module is called; an embedding is there all the time.
    """
    from transformers import AutoConfig

    return bool(AutoConfig.from_pretrained(policy).tie_word_embeddings)
