"""What every training has in common: checks, resumption, progress, and the policy that it leaves."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from vrft_aug.engine import policy, preflight
from vrft_aug.engine.progress import MetricsFollower, keep_steps_up_to
from vrft_aug.engine.run_folder import Run
from vrft_aug.errors import InputError


@dataclass(frozen=True)
class Trainer:
    """One of verl's trainers.

    headline: metrics shown at each step, label -> verl's key (see progress.py).
    policy_key: where verl's config names the policy.
    execute: runs verl with the resolved config, to the end.
    warn: lines about what is wrong with a step's metrics.
    """

    headline: dict[str, str]
    policy_key: str
    execute: Callable[[DictConfig], None]
    warn: Callable[[dict[str, float]], list[str]] = lambda metrics: []


def train(config: DictConfig, run: Run, trainer: Trainer) -> Path:
    """Train to `trainer.total_training_steps`, resuming from the newest checkpoint in the run's folder.

    Returns the folder of the trained policy in Hugging Face format, `<out>/policy`.
    Raises InputError before anything is started where data, machine or policy cannot work.
    """
    train_files, val_files = shards(config.data.train_files), shards(config.data.val_files)
    preflight.check_rows(train_files, val_files, config.data.train_batch_size)
    preflight.check_platform(config.hardware)
    start = policy.resolve(config.policy)
    preflight.check_memory(start, config.hardware)
    run.record(policy=start, parquet=str(Path(config.parquet).resolve()))

    checkpoints = Path(config.trainer.default_local_dir).resolve()
    done = policy.last_step(checkpoints)
    if done:
        _check_same_training(config, run)
    keep_steps_up_to(run.folder, done)
    total = config.trainer.total_training_steps
    if done < total:
        run.say(f"steps {done + 1} to {total}{', resumed' if done else ''}; log: {run.log}")
        with MetricsFollower(run.folder, total, trainer.headline, run.say, trainer.warn) as follower:
            os.environ["VERL_FILE_LOGGER_PATH"] = str(follower.source)
            os.environ["TENSORBOARD_DIR"] = str(run.folder / "tensorboard")
            paths = {"data.train_files": train_files, "data.val_files": val_files, trainer.policy_key: start,
                     "trainer.default_local_dir": str(checkpoints)}  # fmt: skip
            trainer.execute(_for_verl(config, paths))

    target = run.folder / "policy"
    policy.export(policy.latest_checkpoint(checkpoints), target)
    return target


def _check_same_training(config: DictConfig, run: Run) -> None:
    """Raise InputError where the folder's checkpoints come from other settings than this run's.

    What may differ: `trainer` (steps, saving, logging) and `hardware`.
    """
    now, then = (_flat(OmegaConf.to_container(c, resolve=True)) for c in (config, run.previous or config))
    changed = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
    changed = [key for key in changed if not key.startswith(("trainer.", "hardware.", "ray_kwargs."))]
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


def _for_verl(config: DictConfig, paths: dict[str, object]) -> DictConfig:
    """The config as verl and its workers get it: absolute paths, and resolved, since our resolvers end here."""
    config = config.copy()
    with open_dict(config):
        for key, value in paths.items():
            OmegaConf.update(config, key, value)
    OmegaConf.resolve(config)
    return config
