"""Says what a table would cost: each stage's command and each training's steps, images, rollouts, tokens and memory."""

from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from vrft_aug.experiments import memory
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Compose, Stage


def lines(work: Sequence[tuple[Cell, list[Stage]]], compose: Compose, done: set[Stage]) -> Iterator[str]:
    """The plan as text; a stage that several cells share is counted once."""
    seen: set[Stage] = set()
    for cell, stages in work:
        yield cell.folder
        for stage in stages:
            state = "done" if stage in done else "shared" if stage in seen else "to run"
            yield f"  {stage.name:16} {state:7} python {' '.join(stage.command)}"
            if stage.recipe in ("grpo", "sft") and stage not in seen:
                yield " " * 27 + cost(compose(stage.recipe, list(stage.overrides)), cell)
            seen.add(stage)
    yield f"{len(work)} cells, {len(seen)} stages: {len(seen & done)} done, {len(seen - done)} to run"


def cost(config: DictConfig, cell: Cell) -> str:
    """One line for a training. Images: what `shots` allows; the source may have fewer. Tokens: an upper bound, from the
    policy's longest prompt and response. Memory: by the formula of memory.py, not measured."""
    images = None if cell.shots is None else cell.shots * len(config.dataset.classes)
    batch, steps = config.data.train_batch_size, config.trainer.total_training_steps
    if steps is None and images:
        steps = images // batch * config.trainer.total_epochs
    prompts = steps and steps * batch
    parts = [f"{steps or f'{config.trainer.total_epochs} epochs:'} steps", f"{images or 'all'} images"]
    length = config.policy.max_length
    if "actor_rollout_ref" in config:
        n = config.actor_rollout_ref.rollout.n
        parts += [f"{prompts * n:,} rollouts"] if prompts else [f"{n} rollouts per prompt"]
        length *= n
    parts += [f"up to {prompts * length / 1e6:,.1f} M tokens"] if prompts else []
    if estimate := memory.estimate(config):
        parts.append(f"about {estimate.peak:.0f} of {estimate.device:.0f} GiB per device")
    return ", ".join(parts)
