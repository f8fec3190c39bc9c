"""Evaluates a policy: answers, scores and metrics, and the same again with the images dealt to the wrong prompts."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import facts, preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training.policy import resolve
from vrft_aug.evaluation.answers.predict import deal_images, predict, read_rows
from vrft_aug.evaluation.earlier import stands, weights_of
from vrft_aug.files import replacing, write_whole
from vrft_aug.rewards import compose


def evaluate(config: DictConfig, run: Run) -> None:
    """Write predictions.parquet and metrics.json into the run's folder; for shuffled images into its folder `shuffled`.

    config: it has passed checks.py. A finished evaluation with the same settings, rows and weights stands. Files of
    another earlier evaluation are deleted when all is checked; new files are written at the end: an interruption leaves
    none.

    Raises InputError, before the policy is loaded, if rows or policy cannot work, and for a folder that holds an
    evaluation of something else.
    """
    folder = Path(config.parquet)
    now = {"sha256": facts.checksums(folder, config.split), "weights": weights_of(config.policy.path)}
    if stands(config, run, now):
        run.stand(f"evaluated before with the same settings, rows and policy: nothing to do; {run.folder}")
        return
    rows = read_rows(folder, config.split)
    preflight.prepare_environment(config.hardware)
    policy = Policy.of(config.policy)
    path = resolve(policy, run.folder / "policy")
    preflight.check_memory(path, config.hardware)
    _remove(run.folder)
    about = {
        **facts.of_config(config, folder),
        "labels": facts.labels_of_policy(config.policy.path),
        "policy": path,
        "split": config.split,
        "sampling": OmegaConf.to_container(config.sampling),
        **now,
    }
    run.record(**about, shuffled_images=False)
    run.say(f"{len(rows)} rows of {config.split} for {path}; log: {run.log}")

    from vrft_aug.evaluation.answers.generation import Generator

    generator = Generator(path, policy, config.hardware, config.sampling, config.seed)
    answer, objective = partial(generator.answer, say=run.say), compose(config.objective)
    predictions = predict(rows, [images[0]["bytes"] for images in rows["images"]], objective, answer)
    if config.shuffle_check:
        shuffled = run.folder / "shuffled"
        shuffled.mkdir()
        _write(shuffled, predict(rows, deal_images(rows, config.seed), objective, answer), config.seed, run)
        record = {"name": f"{run.folder.name}, shuffled images", "recipe": "evaluate", **about, "shuffled_images": True}
        write_whole(shuffled / "run.json", json.dumps(record, indent=2) + "\n")
    _write(run.folder, predictions, config.seed, run)


def _remove(folder: Path) -> None:
    """Delete the results of an earlier evaluation."""
    shutil.rmtree(folder / "shuffled", ignore_errors=True)
    for name in ("predictions.parquet", "metrics.json"):
        (folder / name).unlink(missing_ok=True)


def _write(folder: Path, predictions: pd.DataFrame, seed: int, run: Run) -> None:
    from vrft_aug.evaluation.metrics.measure import measure  # imports scikit-learn, which no check needs

    metrics = measure(predictions, seed)
    with replacing(folder / "predictions.parquet") as part:
        predictions.to_parquet(part)
        write_whole(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    for name, values in metrics.items():
        run.say(f"{folder.name}: {name} {headline(values)}; {folder / 'predictions.parquet'}")


def headline(values: dict[str, Any]) -> str:
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
