"""What a table would cost: every stage's command and, for a training, its steps, images, rollouts, tokens, memory."""

from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from vrft_aug.experiments import memory
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Compose, Stage

ROOTS = ("grpo", "sft")


def lines(work: Sequence[tuple[Cell, list[Stage]]], compose: Compose, stands: set[Stage]) -> Iterator[str]:
    """The plan as text; a stage that several cells share is counted once."""
    seen: set[Stage] = set()
    for cell, stages in work:
        yield f"{cell.folder}"
        for stage in stages:
            state = "stands" if stage in stands else "shared" if stage in seen else "to run"
            yield f"  {stage.name:16} {state:7} python {' '.join(stage.command)}"
            if stage.recipe in ROOTS and stage not in seen:
                yield " " * 27 + cost(compose(stage.recipe, list(stage.overrides)), cell)
            seen.add(stage)
    left = len(seen - stands)
    yield f"{len(work)} cells, {len(seen)} stages: {len(seen) - left} stand, {left} to run"


def cost(config: DictConfig, cell: Cell) -> str:
    """One line for a training. Images: what `shots` allows; the source may have fewer. Tokens: an upper bound, from the
    policy's longest prompt and response. Memory: by the formula of memory.py, nothing that anybody measured."""
    images = None if cell.shots is None else cell.shots * len(config.dataset.classes)
    batch, steps = config.data.train_batch_size, config.trainer.total_training_steps
    if steps is None and images:
        steps = images // batch * config.trainer.total_epochs
    prompts = steps and steps * batch
    parts = [f"{steps or f'{config.trainer.total_epochs} epochs:'} steps", f"{images or 'all'} images"]
    length = config.policy.max_length
    if "actor_rollout_ref" in config:
        n = config.actor_rollout_ref.rollout.n
        parts += [f"{prompts * n:,} rollouts"] if prompts else [f"{n} rollouts a prompt"]
        length *= n
    parts += [f"up to {prompts * length / 1e6:,.1f} M tokens"] if prompts else []
    estimate = memory.estimate(config)
    parts += [f"about {estimate['peak']:.0f} of {estimate['device']:.0f} GiB a device"] if estimate else []
    return ", ".join(parts)
