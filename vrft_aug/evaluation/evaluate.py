"""What recipes/evaluate.py does: answer, score, measure, and once more with the images dealt to the wrong prompts."""

import json
import shutil
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.engine.run import facts, preflight
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.engine.training import policy
from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.predict import deal_images, predict, read_rows
from vrft_aug.evaluation.metrics.measure import measure


def evaluate(config: DictConfig, run: Run) -> None:
    """Write predictions.parquet and metrics.json into the run's folder and, for the check, into its `shuffled`.

    Both are written when all answers are there: an interrupted evaluation leaves neither, nor an earlier one's.
    Raises InputError before the policy is loaded where rows, policy or sampling cannot work.
    """
    shuffled = run.folder / "shuffled"
    shutil.rmtree(shuffled, ignore_errors=True)
    for name in ("predictions.parquet", "metrics.json"):
        (run.folder / name).unlink(missing_ok=True)
    check_sampling(config.sampling)
    preflight.prepare_environment(config.hardware)
    rows = read_rows(Path(config.parquet), config.split)
    path = policy.resolve(config.policy, run.folder / "policy")
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

    generator = Generator(path, config)
    objective = OmegaConf.to_container(config.objective, resolve=True)

    def answer(prompts: list[str], images: list[bytes]) -> list[list[tuple[str, int]]]:
        return generator.answer(prompts, images, run.say)

    predictions = predict(rows, [images[0]["bytes"] for images in rows["images"]], objective, answer)
    if config.shuffle_check:
        shuffled.mkdir()
        _write(shuffled, predict(rows, deal_images(rows, config.seed), objective, answer), config.seed, run)
        record = {"name": f"{run.folder.name}, shuffled images", "recipe": "evaluate", **about, "shuffled_images": True}
        (shuffled / "run.json").write_text(json.dumps(record, indent=2) + "\n")
    _write(run.folder, predictions, config.seed, run)


def check_sampling(sampling: DictConfig) -> None:
    """Raise InputError for a number of samples or a temperature that says nothing."""
    if sampling.n < 1 or sampling.temperature < 0:
        raise InputError(f"sampling: n={sampling.n} must be 1 or more, temperature={sampling.temperature} 0 or more")
    if sampling.n > 1 and sampling.temperature == 0:
        raise InputError(f"sampling.n={sampling.n} greedy samples are all equal: set sampling.temperature above 0")


def _write(folder: Path, predictions: pd.DataFrame, seed: int, run: Run) -> None:
    metrics = measure(predictions, seed)
    temporary = folder / ".predictions.parquet"
    predictions.to_parquet(temporary)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    temporary.rename(folder / "predictions.parquet")
    for name, values in metrics.items():
        text = f"{folder.name}: {name} accuracy {values['accuracy']['value']:.3f}"
        if samples := values["samples"]:
            text += f" by vote of {samples['n']}, {samples['accuracy']:.3f} of single samples"
        run.say(f"{text}; {folder / 'predictions.parquet'}")
