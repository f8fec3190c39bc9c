"""What recipes/evaluate.py does: answer, score, measure, and once more with the images dealt to the wrong prompts."""

import json
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from vrft_aug.engine import policy, preflight
from vrft_aug.engine.run_folder import Run
from vrft_aug.evaluation.metrics import measure
from vrft_aug.evaluation.predict import deal_images, predict, read_rows


def evaluate(config: DictConfig, run: Run) -> None:
    """Write predictions.parquet and metrics.json into the run's folder and, for the check, into its `shuffled`."""
    preflight.prepare_environment(config.hardware)
    rows = read_rows(Path(config.parquet), config.split)
    path = policy.resolve(config.policy)
    preflight.check_memory(path, config.hardware)
    facts = {
        "policy": path,
        "dataset": config.dataset.name,
        "prompt": config.prompt.name,
        "objective": config.objective_name,
        "split": config.split,
    }
    run.record(**facts, shuffled_images=False)
    run.say(f"{len(rows)} rows of {config.split} for {path}; log: {run.log}")

    from vrft_aug.engine.generate import Generator

    generator = Generator(path, config)
    objective = OmegaConf.to_container(config.objective, resolve=True)

    def answer(prompts: list[str], images: list[bytes]) -> list[list[tuple[str, int]]]:
        return generator.answer(prompts, images, run.say)

    images = [images[0]["bytes"] for images in rows["images"]]
    _write(run.folder, predict(rows, images, objective, answer), config.seed, run)
    if config.shuffle_check:
        folder = run.folder / "shuffled"
        folder.mkdir(exist_ok=True)
        _write(folder, predict(rows, deal_images(rows, config.seed), objective, answer), config.seed, run)
        record = {"name": f"{run.folder.name}, shuffled images", "recipe": "evaluate", **facts, "shuffled_images": True}
        (folder / "run.json").write_text(json.dumps(record, indent=2) + "\n")


def _write(folder: Path, predictions: pd.DataFrame, seed: int, run: Run) -> None:
    metrics = measure(predictions, seed)
    temporary = folder / ".predictions.parquet"
    predictions.to_parquet(temporary)
    temporary.rename(folder / "predictions.parquet")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    for name, values in metrics.items():
        run.say(f"{folder.name}: {name} accuracy {values['accuracy']['value']:.3f}; {folder / 'predictions.parquet'}")
