"""Writes small runs in the layout of the recipes' output, for the tests of metrics and report."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vrft_aug.evaluation.metrics.measure import measure

GRADES = ["0", "1", "2", "3", "4"]


def predictions(
    truth: Sequence[str], answers: Sequence[str], classes: Sequence[str] = GRADES, task: str = "grading", **columns
) -> pd.DataFrame:
    """A predictions table of one data set; the answer "" is unparseable."""
    names = [f"image_{position}" for position in range(len(truth))]
    table = {
        "data_source": "toy",
        "task": task,
        "source_id": names,
        "index": range(len(truth)),
        "group_id": names,
        "prompt": "<image>What grade?",
        "response": [f"<think>I look.</think> \\boxed{{{answer}}}" for answer in answers],
        "prediction": list(answers),
        "ground_truth": list(truth),
        "rejected": ["" if answer else "no answer" for answer in answers],
        "acc": [float(answer == label) for answer, label in zip(answers, truth, strict=True)],
        "score": [float(answer == label) for answer, label in zip(answers, truth, strict=True)],
        "format": [float(bool(answer)) for answer in answers],
        "classes": [list(classes) for _ in truth],
        "response_length": 12,
    }
    return pd.DataFrame(table | columns)


def write_evaluation(folder: Path, name: str, rows: pd.DataFrame, **run) -> Path:
    """An output folder of recipes/evaluate.py."""
    folder.mkdir(parents=True)
    record = {"name": name, "recipe": "evaluate", "policy": f"runs/{name}/policy", "dataset": "toy", "prompt": "names"}
    record |= {"objective": "accuracy", "split": "test", "state": "finished"} | run
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "metrics.json").write_text(json.dumps(measure(rows, resamples=30), allow_nan=False))
    rows.to_parquet(folder / "predictions.parquet")
    return folder


def write_rows(folder: Path, rows: pd.DataFrame, size: tuple[int, int] = (28, 28)) -> Path:
    """The output of recipes/prepare.py for the images of a predictions table; each image is a different noise."""
    folder.mkdir(parents=True)
    table = []
    for index, name in enumerate(dict.fromkeys(rows["source_id"])):
        noise = np.random.default_rng(index).integers(0, 255, (*size[::-1], 3), np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(noise).save(encoded, "PNG")
        images = [{"bytes": encoded.getvalue(), "path": None}]
        table.append({"images": images, "extra_info": {"index": index, "source_id": name}})
    pd.DataFrame(table).to_parquet(folder / "test.parquet")
    return folder


def cell_facts(policy: str, dataset: str, shots: int, experiment: str, objective: str = "accuracy") -> dict:
    """What a run of a table's cell records in addition to its name and state."""
    facts = {"experiment": experiment, "dataset": dataset, "shots": shots, "policy_name": policy}
    return facts | {"objective": objective, "protocol": "paper"}


def cell_folder(
    root: Path, policy: str, dataset: str, shots: int, experiment: str, seed: int | None = None
) -> Path:
    """The folder that contains the stages of a table's cell; seed: of a table with several."""
    return root / policy / f"{dataset}-{shots}" / ("" if seed is None else f"seed-{seed}") / experiment


def write_cell(root: Path, *cell, rows: pd.DataFrame, **run) -> Path:
    """The evaluation of a table's cell: (policy, data set, shots, experiment) and, if it is not accuracy, objective."""
    folder = cell_folder(root, *cell[:4], seed=run.get("seed")) / "test"
    return write_evaluation(folder, "test", rows, **cell_facts(*cell) | run)


def write_training(folder: Path, steps: int, rise: float = 0.4, signs: dict | None = None, **run) -> Path:
    """The metrics file of a GRPO run: the reward rises from 0.2 to 0.8, validation accuracy by `rise` from 0.3.

    signs: {measure of vrft_aug/rewards/diagnostics.py: its value at each step, from step 1}.
    """
    folder.mkdir(parents=True)
    lines = []
    for step in range(steps + 1):
        data = {"val-core/toy/acc/mean@1": 0.3 + rise * step / steps} if step % 10 == 0 else {}
        if step:
            reward = 0.2 + 0.6 * step / steps
            data |= {"critic/score/mean": reward, "reward/grading/mfrs": reward, "reward/grading/format": 1.0}
            data |= {"reward/grading/score": reward, "response_length/mean": 20.0, "actor/kl_loss": 0.001 * step}
            data |= {"perf/mfu/actor": 0.1}
            data |= {f"reward/grading/{name}": values[step - 1] for name, values in (signs or {}).items()}
        lines.append(json.dumps({"step": step, "data": data}))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    record = {"name": folder.name, "recipe": "grpo", "state": "finished"} | run
    (folder / "run.json").write_text(json.dumps(record))
    return folder
