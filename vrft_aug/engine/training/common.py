"""Trains with one of verl's trainers: checks the input, resumes, shows progress, exports the policy."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.configs import flatten
from vrft_aug.data import policy_files
from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import facts, metrics_file, preflight, profile_checks, rollouts_file
from vrft_aug.engine.run.progress import MetricsFollower
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training import policy, start_checks, verl_settings
from vrft_aug.engine.training.checkpoints import Checkpoints, Criterion
from vrft_aug.engine.training.difficulty import Selection
from vrft_aug.engine.training.row_files import count_rows, count_steps, fill_batch, found_files
from vrft_aug.errors import InputError


@dataclass(frozen=True)
class Trainer:
    """One of verl's trainers.

    headline: metrics shown at each step, label -> verl's key (see progress.py).
    policy_key, limit_key: verl's keys for the policy's path and for the number of checkpoints that are kept.
    criterion: what makes a checkpoint the best. execute: runs verl to the end, with the resolved config.
    warn: lines about what is wrong with a step's metrics.
    validates_in_batches: verl drops an incomplete batch of validation rows.
    select: chooses some of the training rows; None: all.
    """

    headline: dict[str, str]
    policy_key: str
    limit_key: str
    criterion: Criterion
    execute: Callable[[DictConfig], None]
    warn: Callable[[dict[str, float]], list[str]] = lambda metrics: []
    validates_in_batches: bool = False
    select: Callable[[list[str]], Selection | None] = lambda files: None


def train(config: DictConfig, run: Run, trainer: Trainer) -> Path:
    """Train to the last step, resuming from the newest checkpoint in the run's folder.

    Returns `<out>/policy`, the trained policy in Hugging Face format: the checkpoint that is best on the validation
    rows, or the last one (`keep`). Raises InputError, before verl starts, if data, machine or policy cannot work.
    """
    start_checks.check_recipe(config, run.recipe)
    start_checks.check_freeze(config)
    preflight.check_batches(config)
    train_files, val_files = found_files(config.data.train_files), found_files(config.data.val_files)
    rows = start_checks.check_rows_fit(config, [*train_files, *val_files])
    selection = trainer.select(train_files)
    train_files = fill_batch(train_files, config.data.train_batch_size, run.say)
    if trainer.validates_in_batches:
        val_files = fill_batch(val_files, config.data.train_batch_size, run.say)
    total = count_steps(config, selection.rows if selection else count_rows(train_files))
    checkpoints = Checkpoints.of_config(config, trainer.limit_key, trainer.criterion)
    if config.policy.path:
        policy.find(config.policy.path)  # a wrong path is refused before anything large is imported
    preflight.check_version()
    profile_checks.check_machine(config.hardware)
    start = policy.resolve(Policy.of(config.policy), run.folder / "start", copy=config.hardware.nodes > 1)
    start_checks.check_parts(config.freeze, start)
    preflight.check_memory(start, config.hardware, run.recipe, config.freeze)
    about = facts.of_config(config, *rows)
    trainings = trainings_of(config.policy.path, run.recipe, about)
    run.record(**about, policy=start, steps=total, **({"difficulty": selection.facts} if selection else {}))

    if checkpoints.newest():
        _check_same_training(config, run)
        if selection:
            selection.check_same(run.earlier)
    metrics_file.recover(run.folder)
    done = checkpoints.newest_whole(run.say)
    metrics_file.drop_after(run.folder, done)
    rollouts_file.drop_after(run.folder, done)
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    policy_files.write_settings(checkpoints.folder, config.policy, trainings)
    if done < total:
        to_come = checkpoints.to_come(range(done + 1, total + 1), config.trainer.save_freq)
        preflight.check_disk(start, checkpoints.folder, to_come, config.hardware, config.freeze)
        run.say(f"steps {done + 1} to {total}{', resumed' if done else ''}; log: {run.log}")
        if selection:
            run.say(selection.text)
            train_files = [str(selection.write(run.folder / "rows"))]
        with MetricsFollower(run.folder, total, trainer.headline, run.say, trainer.warn, checkpoints.prune) as follower:
            os.environ["VERL_FILE_LOGGER_PATH"] = str(follower.source)
            os.environ["TENSORBOARD_DIR"] = str(run.folder / "tensorboard")
            settings = {"data.train_files": train_files, "data.val_files": val_files, trainer.policy_key: start,
                        "trainer.default_local_dir": str(checkpoints.folder), trainer.limit_key: None,
                        "trainer.total_training_steps": total, "trainer.total_epochs": total}  # fmt: skip
            if config.hardware.use_fused_kernels and not verl_settings.takes_fused_kernels(start):
                run.say("without fused kernels: the policy has an output head of its own")
                settings[trainer.policy_key.replace("path", "use_fused_kernels")] = False
            trainer.execute(_for_verl(config, settings))
    checkpoints.prune()
    return _export(config, run, checkpoints, trainings)


def trainings_of(path: str | None, recipe: str, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trainings of the policy at `path`, in order, and the one that this run adds. about: facts of this run."""
    before = (policy_files.read_settings(path) or {}).get("trainings", [])
    keys = ("experiment", "dataset", "task", "classes", "images", "shots", "prompt", "pretext", "objective", "variant",
            "freeze", "labels")  # fmt: skip
    return [*before, {"recipe": recipe} | {key: about[key] for key in keys}]


def _export(config: DictConfig, run: Run, checkpoints: Checkpoints, trainings: list[dict[str, Any]]) -> Path:
    """Merge the chosen checkpoint, describe it in a model card, and record in run.json which one it is."""
    from vrft_aug.engine.training import model_card  # imports huggingface_hub, which no check needs

    step, value = checkpoints.chosen()
    selected_by = None
    if checkpoints.criterion and value is not None:
        selected_by = {"metric": checkpoints.criterion.pattern, "value": value}
        run.say(f"step {step} is the best checkpoint: {checkpoints.criterion.name} {value:.3f}")
    elif checkpoints.criterion:
        run.say("no saved step was validated, so the last is exported: make trainer.save_freq a multiple of "
                "trainer.test_freq, and prepare enough validation rows to fill a batch")  # fmt: skip
    target = policy.merge(checkpoints.path(step), run.folder / "policy")
    policy_files.write_settings(target, config.policy, trainings)
    run.record(exported_step=step, selected_by=selected_by)
    model_card.write(target, config, run.folder)
    return target


def _check_same_training(config: DictConfig, run: Run) -> None:
    """Raise InputError if the checkpoints in the folder were trained with other settings than this run's.

    `trainer` and `schedule` (steps, saving, logging), `keep`, `rollouts` and `hardware` may differ.
    """
    now, then = (flatten(OmegaConf.to_container(one, resolve=True)) for one in (config, run.previous or config))
    different = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
    # A schedule's batch is also in `data`.
    free = ("trainer.", "schedule.", "hardware.", "ray_kwargs.", "keep", "rollouts.")
    if changed := [key for key in different if not key.startswith(free)]:
        shown = ", ".join(f"{key}: {then.get(key)} -> {now.get(key)}" for key in changed[:3])
        raise InputError(f"out={run.folder} holds a training with other settings ({len(changed)} differ: {shown}): "
                         "choose another out, or remove that folder")  # fmt: skip


def _for_verl(config: DictConfig, settings: Mapping[str, object]) -> DictConfig:
    """The config for verl and its workers, which do not know our resolvers: with `settings`, and resolved."""
    config = config.copy()
    for key, value in settings.items():
        OmegaConf.update(config, key, value, force_add=True)
    OmegaConf.resolve(config)
    return config
