"""Evaluates a policy: answers, scores and metrics, and the same again with the images dealt to the wrong prompts."""

import json
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import facts, preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training.policy import resolve
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.predict import deal_images, predict, read_rows
from vrft_aug.evaluation.metrics.measure import measure
from vrft_aug.files import replacing, write_whole
from vrft_aug.rewards import compose


def evaluate(config: DictConfig, run: Run) -> None:
    """Write predictions.parquet and metrics.json into the run's folder; for shuffled images into its folder `shuffled`.

    Files of an earlier evaluation are deleted first, new files are written at the end: an interruption leaves none.
    Raises InputError, before the policy is loaded, if rows, policy, objective or sampling cannot work.
    """
    shuffled = run.folder / "shuffled"
    shutil.rmtree(shuffled, ignore_errors=True)
    for name in ("predictions.parquet", "metrics.json"):
        (run.folder / name).unlink(missing_ok=True)
    check_sampling(config.sampling)
    preflight.prepare_environment(config.hardware)
    rows = read_rows(Path(config.parquet), config.split)
    objective, policy = compose(config.objective), Policy.of(config.policy)
    path = resolve(policy, run.folder / "policy")
    preflight.check_memory(path, config.hardware)
    about = {
        **facts.of_config(config),
        "policy": path,
        "split": config.split,
        "sha256": facts.checksums(Path(config.parquet), config.split),
        "sampling": OmegaConf.to_container(config.sampling),
    }
    run.record(**about, shuffled_images=False)
    run.say(f"{len(rows)} rows of {config.split} for {path}; log: {run.log}")

    from vrft_aug.evaluation.answers.generation import Generator

    generator = Generator(path, policy, config.hardware, config.sampling, config.seed)
    answer = partial(generator.answer, say=run.say)
    predictions = predict(rows, [images[0]["bytes"] for images in rows["images"]], objective, answer)
    if config.shuffle_check:
        shuffled.mkdir()
        _write(shuffled, predict(rows, deal_images(rows, config.seed), objective, answer), config.seed, run)
        record = {"name": f"{run.folder.name}, shuffled images", "recipe": "evaluate", **about, "shuffled_images": True}
        write_whole(shuffled / "run.json", json.dumps(record, indent=2) + "\n")
    _write(run.folder, predictions, config.seed, run)


def check_sampling(sampling: DictConfig) -> None:
    """Raise InputError for a number of samples or a temperature that makes no sense."""
    if sampling.n < 1 or sampling.temperature < 0:
        raise InputError(f"sampling: n={sampling.n} must be 1 or more, temperature={sampling.temperature} 0 or more")
    if sampling.n > 1 and sampling.temperature == 0:
        raise InputError(f"sampling.n={sampling.n} greedy samples are all equal: set sampling.temperature above 0")


def _write(folder: Path, predictions: pd.DataFrame, seed: int, run: Run) -> None:
    metrics = measure(predictions, seed)
    with replacing(folder / "predictions.parquet") as part:
        predictions.to_parquet(part)
        write_whole(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    for name, values in metrics.items():
        text = f"{folder.name}: {name} accuracy {values['accuracy']['value']:.3f}"
        if samples := values["samples"]:
            text += f" by vote of {samples['n']} samples, {samples['accuracy']:.3f} of single samples"
        run.say(f"{text}; {folder / 'predictions.parquet'}")
