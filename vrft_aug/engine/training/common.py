"""What every training has in common: checks, resumption, progress, and the policy that it leaves."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf, open_dict

from vrft_aug.engine.run import facts, preflight
from vrft_aug.engine.run.progress import MetricsFollower, keep_steps_up_to, recover_steps
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training import model_card, policy
from vrft_aug.engine.training.checkpoints import Checkpoints, Criterion
from vrft_aug.errors import InputError


@dataclass(frozen=True)
class Trainer:
    """One of verl's trainers.

    headline: metrics shown at each step, label -> verl's key (see progress.py).
    policy_key: where verl's config names the policy. limit_key: where, how many checkpoints are kept.
    criterion: of the best checkpoint.
    execute: runs verl with the resolved config, to the end.
    warn: lines about what is wrong with a step's metrics. validates_in_batches: verl drops an incomplete one.
    """

    headline: dict[str, str]
    policy_key: str
    limit_key: str
    criterion: Criterion
    execute: Callable[[DictConfig], None]
    warn: Callable[[dict[str, float]], list[str]] = lambda metrics: []
    validates_in_batches: bool = False


def train(config: DictConfig, run: Run, trainer: Trainer) -> Path:
    """Train to the last step, resuming from the newest checkpoint in the run's folder.

    Returns the folder of the trained policy in Hugging Face format, `<out>/policy`: of the best checkpoint on the
    validation rows, or of the last (`keep`).
    Raises InputError before anything is started where data, machine or policy cannot work.
    """
    train_files, val_files = shards(config.data.train_files), shards(config.data.val_files)
    preflight.check_rows(train_files + val_files)
    train_files = fill_batch(train_files, config.data.train_batch_size, run.say)
    if trainer.validates_in_batches:
        val_files = fill_batch(val_files, config.data.train_batch_size, run.say)
    total = count_steps(config, train_files)
    checkpoints = Checkpoints.of_config(config, trainer.limit_key, trainer.criterion)
    preflight.check_platform(config.hardware)
    start = policy.resolve(config.policy, run.folder / "start")
    preflight.check_memory(start, config.hardware)
    run.record(**facts.of_config(config), policy=start, steps=total)

    if checkpoints.newest():
        _check_same_training(config, run)
    recover_steps(run.folder)
    done = checkpoints.newest_whole(run.say)
    keep_steps_up_to(run.folder, done)
    if done < total:
        run.say(f"steps {done + 1} to {total}{', resumed' if done else ''}; log: {run.log}")
        follower = MetricsFollower(run.folder, total, trainer.headline, run.say, trainer.warn, checkpoints.prune)
        with follower:
            os.environ["VERL_FILE_LOGGER_PATH"] = str(follower.source)
            os.environ["TENSORBOARD_DIR"] = str(run.folder / "tensorboard")
            settings = {"data.train_files": train_files, "data.val_files": val_files, trainer.policy_key: start,
                        "trainer.default_local_dir": str(checkpoints.folder), trainer.limit_key: None,
                        "trainer.total_training_steps": total, "trainer.total_epochs": total}  # fmt: skip
            trainer.execute(_for_verl(config, settings))
    checkpoints.prune()
    return _export(config, run, checkpoints)


def count_steps(config: DictConfig, files: list[str]) -> int:
    """Steps to `trainer.total_training_steps` or the end of `trainer.total_epochs`, whichever comes first.

    An epoch has rows // data.train_batch_size steps, since verl drops the incomplete batch. Raises InputError for none.
    """
    rows = _count_rows(files)
    epochs, steps = config.trainer.total_epochs, config.trainer.total_training_steps
    total = rows // config.data.train_batch_size * epochs
    total = total if steps is None else min(total, steps)
    if total < 1:
        raise InputError(
            f"{rows} rows, data.train_batch_size={config.data.train_batch_size}, trainer.total_epochs={epochs} and "
            f"trainer.total_training_steps={steps} make no step: raise what is 0"
        )
    return total


def fill_batch(files: list[str], batch_size: int, say: Callable[[str], None]) -> list[str]:
    """The files, repeated until their rows fill a batch: verl drops an incomplete one, and 10 images of each of two
    classes are fewer than the paper's 256."""
    rows = _count_rows(files)
    times = math.ceil(batch_size / rows)
    if times > 1:
        say(f"{rows} rows of {Path(files[0]).name} do not fill a batch of {batch_size}: each is taken {times} times")
    return files * times


def _count_rows(files: list[str]) -> int:
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


def _export(config: DictConfig, run: Run, checkpoints: Checkpoints) -> Path:
    """Merge the chosen checkpoint, describe it in a model card, and note in run.json which it is."""
    step, value = checkpoints.chosen()
    selected_by = None
    if value is not None:
        selected_by = {"metric": checkpoints.criterion.pattern, "value": value}
        run.say(f"step {step} is the best checkpoint: {checkpoints.criterion.name} {value:.3f}")
    elif checkpoints.criterion:
        run.say(
            "no saved step was validated, so the last is taken: let trainer.save_freq be a multiple of "
            "trainer.test_freq, and the validation rows fill a batch"
        )
    target = policy.merge(checkpoints.path(step), run.folder / "policy")
    run.record(exported_step=step, selected_by=selected_by)
    model_card.write(target, config, run.folder)
    return target


def _check_same_training(config: DictConfig, run: Run) -> None:
    """Raise InputError where the folder's checkpoints come from other settings than this run's.

    What may differ: `trainer` (steps, saving, logging), `keep` and `hardware`.
    """
    now, then = (_flat(OmegaConf.to_container(c, resolve=True)) for c in (config, run.previous or config))
    changed = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
    changed = [key for key in changed if not key.startswith(("trainer.", "hardware.", "ray_kwargs.", "keep"))]
    if changed:
        shown = ", ".join(f"{key}: {then.get(key)} -> {now.get(key)}" for key in changed[:3])
        raise InputError(
            f"out={run.folder} holds a training with other settings ({len(changed)} differ: {shown}): "
            "choose another out, or remove that folder"
        )


def _flat(tree: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(tree, dict):
        return {prefix.rstrip("."): tree}
    return {name: leaf for key, value in tree.items() for name, leaf in _flat(value, f"{prefix}{key}.").items()}


def shards(files: str | list[str]) -> list[str]:
    """Absolute paths; `x.parquet` stands for `x-00000.parquet`, ... where prepare.py wrote it in pieces."""
    paths = [Path(file).resolve() for file in ([files] if isinstance(files, str) else files)]
    pieces = {path: sorted(path.parent.glob(f"{path.stem}-*.parquet")) for path in paths if not path.exists()}
    return [str(file) for path in paths for file in pieces.get(path) or [path]]


def _for_verl(config: DictConfig, settings: dict[str, object]) -> DictConfig:
    """The config as verl and its workers get it: absolute paths, and resolved, since our resolvers end here."""
    config = config.copy()
    with open_dict(config):
        for key, value in settings.items():
            OmegaConf.update(config, key, value)
    OmegaConf.resolve(config)
    return config
