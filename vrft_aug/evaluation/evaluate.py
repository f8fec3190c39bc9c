"""Evaluates a policy: answers, scores and metrics, and the same for everything that it is compared with."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.data.pretext.asking import asked
from vrft_aug.data.settings import Dataset, Policy, Prompt
from vrft_aug.engine.run import facts, preflight, profile_checks
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training.policy import resolve
from vrft_aug.evaluation.answers.conditions import CONDITIONS
from vrft_aug.evaluation.answers.features import Tower
from vrft_aug.evaluation.answers.opponents import OPPONENTS
from vrft_aug.evaluation.answers.predict import predict, read_rows
from vrft_aug.evaluation.beside import TITLES, VALIDATION, Beside
from vrft_aug.evaluation.earlier import stands, weights_of
from vrft_aug.evaluation.metrics.too_little import too_little
from vrft_aug.files import replacing, write_whole
from vrft_aug.rewards import compose


def evaluate(config: DictConfig, run: Run) -> None:
    """Write predictions.parquet and metrics.json into the run's folder, and likewise into a folder inside it for each
    evaluation that it is compared with (beside.py).

    config: it has passed checks.py. A finished evaluation with the same settings, rows and weights stands. Files of
    another earlier evaluation are deleted when all is checked; those of this evaluation itself are written last: an
    interruption leaves none of them.

    Raises InputError, before the policy is loaded, if rows or policy cannot work, and for a folder that holds an
    evaluation of something else.
    """
    folder = Path(config.parquet)
    used = {"train": config.opponents, "val": config.validation}
    now: dict[str, Any] = {"sha256": facts.checksums(folder, config.split), "weights": weights_of(config.policy.path)}
    now |= {f"sha256_{split}": facts.checksums(folder, split) if asked else None for split, asked in used.items()}
    if stands(config, run, now):
        run.stand(f"evaluated before with the same settings, rows and policy: nothing to do; {run.folder}")
        return
    rows = read_rows(folder, config.split)
    beside = Beside.of(config, rows)
    preflight.prepare_environment(config.hardware)
    profile_checks.check_machine(config.hardware)
    policy = Policy.of(config.policy)
    path = resolve(policy, run.folder / "policy")
    preflight.check_memory(path, config.hardware, "evaluate")
    _remove(run.folder)
    about = {
        **facts.of_config(config, folder),
        "labels": facts.labels_of_policy(config.policy.path),
        "variant": facts.variant_of_policy(config.policy.path),
        "freeze": facts.freeze_of_policy(config.policy.path),
        **facts.training_data_of_policy(config.policy.path, config.dataset.name),
        "policy": path,
        "split": config.split,
        "sampling": OmegaConf.to_container(config.sampling),
        **now,
    }
    run.record(**about, has=beside.names, without=beside.without)
    run.say(f"{len(rows)} rows of {config.split} for {path}; log: {run.log}")
    for name, why in beside.without.items():
        run.say(f"without {TITLES[name]}: {why}")
    found = {}
    for name, predictions in _answers(config, policy, path, rows, beside, run):
        if name in ("", VALIDATION):
            found[name] = predictions
        if name:
            _write_beside(name, predictions, run, config, about)
    _write(run.folder, found[""], config, run, headline, found.get(VALIDATION))


def _answers(
    config: DictConfig, policy: Policy, path: str, rows: pd.DataFrame, beside: Beside, run: Run
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The predictions of the evaluation, named "", and of each one beside it."""
    from vrft_aug.evaluation.answers import shards

    folder, objective = Path(config.parquet), compose(config.objective)
    tower = Tower(path, config.hardware.device, config.hardware.dtype)
    for name in beside.opponents:  # first, because vLLM does not give the device's memory back
        yield name, OPPONENTS[name].answer(folder, rows, tower)
    most = beside.asked.dataset.images
    with shards.generator(path, policy, config.hardware, config.sampling, config.seed, images=most) as generator:
        ask = partial(predict, objective=objective, answer=partial(generator.answer, say=run.say))
        weigher = generator if config.probabilities else None
        yield "", ask(rows, weigher=weigher)
        for name in beside.conditions:
            yield name, ask(CONDITIONS[name].alter(rows, beside.asked))
        if beside.validation:
            yield VALIDATION, ask(read_rows(folder, "val"), weigher=weigher)


def _remove(folder: Path) -> None:
    """Delete the results of an earlier evaluation."""
    for name in TITLES:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("predictions.parquet", "metrics.json"):
        (folder / name).unlink(missing_ok=True)


def _write_beside(name: str, predictions: pd.DataFrame, run: Run, config: DictConfig, about: dict[str, Any]) -> None:
    """Write an evaluation into a folder of the run's folder. about: what run.json says of both."""
    folder = run.folder / name
    folder.mkdir()
    _write(folder, predictions, config, run, accuracy_text)
    record = {"name": f"{run.folder.name}, {TITLES[name]}", "recipe": "evaluate", **about, "beside": name}
    if name == VALIDATION:
        record |= {"split": "val", "sha256": about["sha256_val"]}
    write_whole(folder / "run.json", json.dumps(record, indent=2) + "\n")


def _write(
    folder: Path, predictions: pd.DataFrame, config: DictConfig, run: Run, text: Callable[[dict[str, Any]], str],
    validation: pd.DataFrame | None = None,
) -> None:  # fmt: skip
    """validation: predictions that choose the thresholds of the operating points; None: there are none."""
    from vrft_aug.evaluation.metrics.measure import measure  # imports scikit-learn, which no check needs
    from vrft_aug.evaluation.metrics.operating_points import operating

    dataset = asked(Dataset.of(config.dataset), Prompt.of(config.prompt))
    metrics = measure(predictions, config.seed, disease=dataset.disease)
    if validation is not None and (points := operating(
        validation, predictions, dataset.disease, config.seed, dataset.harm_of_referral
    )):  # fmt: skip
        for values in metrics.values():  # of one data source and task, as the rows are
            values["operating"] = points
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
