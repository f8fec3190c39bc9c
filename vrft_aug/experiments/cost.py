"""Counts what a stage costs: steps, answers, tokens of all passes, checkpoints, memory. Nothing of it is measured.

Every answer counts as long as the policy allows (`policy.max_length`, with the prompt). A pass computes each token
once: the rollout, the log-probabilities before the update (unless the profile takes the rollout's, or skips them where
a step has one update), the reference policy, and the update, which counts as three: forward once, backward twice.
"""

from dataclasses import dataclass, fields
from math import ceil
from typing import Any

from omegaconf import DictConfig

from vrft_aug.data.rows.frame import image_tokens
from vrft_aug.data.settings import Dataset, Policy
from vrft_aug.engine.run.policy_size import SAVED_COPIES
from vrft_aug.engine.training.checkpoints import Checkpoints
from vrft_aug.engine.training.verl_settings import skips_old_log_probs
from vrft_aug.experiments.cell_images import Images
from vrft_aug.experiments.footprint import Footprint
from vrft_aug.experiments.memory import BYTES
from vrft_aug.experiments.stages import Stage

UPDATE = 3  # passes: the backward pass computes about twice as much as the forward pass


@dataclass(frozen=True)
class Cost:
    """rollouts, validations, tests: answers; rows, validation_rows: of supervised training; tokens: of all passes;
    saved: bytes of checkpoints that are on the disk at once. known: False where a number of images is not known."""

    steps: int = 0
    rollouts: int = 0
    validations: int = 0
    rows: int = 0
    validation_rows: int = 0
    tests: int = 0
    tokens: int = 0
    saved: int = 0
    known: bool = True

    def __add__(self, other: "Cost") -> "Cost":
        sums = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        return Cost(**(sums | {"known": self.known and other.known}))


def of_training(config: DictConfig, stage: Stage, images: Images, policy: Footprint) -> Cost:
    """The cost of a stage of grpo.py or sft.py."""
    batch, trainer, length = config.data.train_batch_size, config.trainer, config.policy.max_length
    steps = _steps(batch, trainer.total_training_steps, trainer.total_epochs, images.train)
    if steps is None:
        return Cost(known=False)
    times, rows = _validations(trainer, steps), images.val or 0
    known, saved = images.val is not None, _saved(config, stage, steps, policy)
    if "actor_rollout_ref" not in config:
        whole = rows and rows * ceil(batch / rows) // batch * batch  # verl drops an incomplete batch
        trained, validated = steps * batch, times * whole
        tokens = (trained * UPDATE + validated) * length
        return Cost(steps, rows=trained, validation_rows=validated, tokens=tokens, saved=saved, known=known)
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    rollouts = steps * batch * rollout.n
    validations = (times + bool(trainer.get("val_before_train", True))) * rows * rollout.val_kwargs.n
    before = not (config.hardware.reuse_log_probs or skips_old_log_probs(config))
    passes = 1 + before + actor.use_kl_loss + UPDATE * actor.ppo_epochs
    tokens = (rollouts * passes + validations) * length
    return Cost(steps, rollouts, validations=validations, tokens=tokens, saved=saved, known=known)


def of_test(config: DictConfig, images: Images) -> Cost:
    """The cost of a stage of evaluate.py, at most: it answers once more for each condition that is possible."""
    rows = (images.test or 0) * (1 + len(config.conditions)) + config.validation * (images.val or 0)
    answers = rows * config.sampling.n
    return Cost(tests=answers, tokens=answers * config.policy.max_length, known=images.test is not None)


def visual_tokens(config: DictConfig, dataset: Dataset) -> str:
    """How many tokens an image has; the most that the policy allows where the size of the images is not known."""
    policy, size = Policy.of(config.policy), dataset.loader.get("size")
    if size:
        return str(image_tokens((size, size), policy))
    unit = (policy.patch * policy.merge) ** 2
    least, most = policy.min_pixels // unit, policy.max_pixels // unit
    return str(most) if least == most else f"{least} to {most}"


def _steps(batch: int, steps: int | None, epochs: int, images: int | None) -> int | None:
    """As training/common.py counts: rows that do not fill a batch are repeated. None: the images are not known."""
    if images is None:
        return steps
    whole = images * max(1, ceil(batch / max(images, 1))) // batch * epochs
    return whole if steps is None else min(whole, steps)


def _validations(trainer: DictConfig, steps: int) -> int:
    """Validations while training: every test_freq steps and after the last step."""
    frequency: Any = trainer.test_freq
    if isinstance(frequency, str):  # after_each_epoch
        return int(trainer.total_epochs)
    return ceil(steps / frequency) if frequency > 0 else 0


def _saved(config: DictConfig, stage: Stage, steps: int, policy: Footprint) -> int:
    """Bytes of the checkpoints that are on the disk at once, as preflight.check_disk counts them."""
    limit = config.trainer.get("max_actor_ckpt_to_keep", config.trainer.get("max_ckpt_to_keep"))
    checkpoints = Checkpoints(stage.out / "checkpoints", stage.out / "metrics.jsonl", None, limit)
    number = checkpoints.to_come(range(1, steps + 1), config.trainer.save_freq)
    extra = 0 if config.hardware.lora_rank else (SAVED_COPIES - 1) * (policy.parameters - policy.frozen)
    return (policy.parameters + extra) * BYTES[config.hardware.master_dtype] * number
