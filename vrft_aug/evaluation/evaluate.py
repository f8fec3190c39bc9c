"""Evaluates a policy: answers, scores and metrics; beside it, wrong images and logistic regression on the pixels."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import facts, preflight, profile_checks
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training.policy import resolve
from vrft_aug.evaluation.answers.pixels import answer_from_pixels, obstacle
from vrft_aug.evaluation.answers.predict import deal_images, predict, read_rows
from vrft_aug.evaluation.earlier import stands, weights_of
from vrft_aug.evaluation.metrics.too_little import too_little
from vrft_aug.files import replacing, write_whole
from vrft_aug.rewards import compose

BESIDE = {"shuffled": "shuffled images", "pixels": "logistic regression on pixels"}  # folder: what it holds


def evaluate(config: DictConfig, run: Run) -> None:
    """Write predictions.parquet and metrics.json into the run's folder; for shuffled images into its folder `shuffled`,
    and for logistic regression into `pixels`.

    config: it has passed checks.py. A finished evaluation with the same settings, rows and weights stands. Files of
    another earlier evaluation are deleted when all is checked; new files are written at the end: an interruption leaves
    none.

    Raises InputError, before the policy is loaded, if rows or policy cannot work, and for a folder that holds an
    evaluation of something else.
    """
    folder = Path(config.parquet)
    trained = facts.checksums(folder, "train") if config.pixel_check else None
    now = {"sha256": facts.checksums(folder, config.split), "sha256_train": trained}
    now["weights"] = weights_of(config.policy.path)
    if stands(config, run, now):
        run.stand(f"evaluated before with the same settings, rows and policy: nothing to do; {run.folder}")
        return
    rows = read_rows(folder, config.split)
    no_pixels = obstacle(folder, config.split, rows) if config.pixel_check else "pixel_check=false"
    preflight.prepare_environment(config.hardware)
    profile_checks.check_machine(config.hardware)
    policy = Policy.of(config.policy)
    path = resolve(policy, run.folder / "policy")
    preflight.check_memory(path, config.hardware, "evaluate")
    _remove(run.folder)
    about = {
        **facts.of_config(config, folder),
        "labels": facts.labels_of_policy(config.policy.path),
        **facts.training_data_of_policy(config.policy.path, config.dataset.name),
        "policy": path,
        "split": config.split,
        "sampling": OmegaConf.to_container(config.sampling),
        **now,
    }
    run.record(**about, shuffled_images=False, no_pixels=no_pixels)
    run.say(f"{len(rows)} rows of {config.split} for {path}; log: {run.log}")
    if config.pixel_check and no_pixels:
        run.say(f"without logistic regression on pixels: {no_pixels}")

    from vrft_aug.evaluation.answers import shards

    with shards.generator(path, policy, config.hardware, config.sampling, config.seed) as generator:
        answer, objective = partial(generator.answer, say=run.say), compose(config.objective)
        predictions = predict(rows, [images[0]["bytes"] for images in rows["images"]], objective, answer)
        if config.shuffle_check:
            shuffled = predict(rows, deal_images(rows, config.seed), objective, answer)
            _write_beside("shuffled", shuffled, config.seed, run, about | {"shuffled_images": True})
    if not no_pixels:
        regression = answer_from_pixels(folder, rows)
        _write_beside("pixels", regression, config.seed, run, about | {"shuffled_images": False, "pixels": True})
    _write(run.folder, predictions, config.seed, run, headline)


def _remove(folder: Path) -> None:
    """Delete the results of an earlier evaluation."""
    for name in BESIDE:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("predictions.parquet", "metrics.json"):
        (folder / name).unlink(missing_ok=True)


def _write_beside(name: str, predictions: pd.DataFrame, seed: int, run: Run, about: dict[str, Any]) -> None:
    """Write an evaluation into a folder of the run's folder: what the run is compared with. name: a key of BESIDE."""
    folder = run.folder / name
    folder.mkdir()
    _write(folder, predictions, seed, run, accuracy_text)
    record = {"name": f"{run.folder.name}, {BESIDE[name]}", "recipe": "evaluate", **about}
    write_whole(folder / "run.json", json.dumps(record, indent=2) + "\n")


def _write(folder: Path, predictions: pd.DataFrame, seed: int, run: Run, text: Callable[[dict[str, Any]], str]) -> None:
    from vrft_aug.evaluation.metrics.measure import measure  # imports scikit-learn, which no check needs

    metrics = measure(predictions, seed)
    with replacing(folder / "predictions.parquet") as part:
        predictions.to_parquet(part)
        write_whole(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    for name, values in metrics.items():
        run.say(f"{folder.name}: {name} {text(values)}; {folder / 'predictions.parquet'}")


def headline(values: dict[str, Any]) -> str:
    """What `accuracy_text` says, and that there is too little data, if so."""
    return "; ".join(filter(None, [accuracy_text(values), too_little(values)]))


def accuracy_text(values: dict[str, Any]) -> str:
    """Accuracy of answers and thoughts of one data source and task, and how many answers count for nothing and why.

    values: the metrics of measure.py for it.
    """
    text = f"accuracy {values['accuracy']['value']:.3f}"
    if samples := values["samples"]:
        text += f" by vote of {samples['n']} samples, {samples['accuracy']:.3f} of single samples"
    if thought := values.get("thought_accuracy"):
        text += f"; {thought['value']:.3f} of the thoughts name the findings"
    if rejected := values["rejected"]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in rejected.items())
        text += f"; {sum(rejected.values())} of {values['n']} answers are no class or cannot be read ({reasons})"
    return text
