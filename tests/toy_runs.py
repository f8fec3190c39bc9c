"""Writes small runs in the layout that the recipes leave, for the tests of metrics and report."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vrft_aug.evaluation.metrics import measure

GRADES = ["0", "1", "2", "3", "4"]


def predictions(
    truth: Sequence[str], answers: Sequence[str], classes: Sequence[str] = GRADES, task: str = "grading", **columns
) -> pd.DataFrame:
    """A predictions table of one data set; the answer "" is an unparseable one."""
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
    record |= {"objective": "accuracy", "split": "test", "shuffled_images": False, "state": "finished"} | run
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "metrics.json").write_text(json.dumps(measure(rows, resamples=30), allow_nan=False))
    rows.to_parquet(folder / "predictions.parquet")
    return folder


def write_training(folder: Path, steps: int) -> Path:
    """The metrics file of a GRPO run: a reward that rises from 0.2 to 0.8, validation every tenth step."""
    folder.mkdir(parents=True)
    lines = []
    for step in range(steps + 1):
        data = {"val-core/toy/acc/mean@1": 0.3 + 0.4 * step / steps} if step % 10 == 0 else {}
        if step:
            reward = 0.2 + 0.6 * step / steps
            data |= {"critic/score/mean": reward, "reward/grading/mfrs": reward, "reward/grading/format": 1.0}
            data |= {"reward/grading/score": reward, "response_length/mean": 20.0, "actor/kl_loss": 0.001 * step}
            data |= {"perf/mfu/actor": 0.1}
        lines.append(json.dumps({"step": step, "data": data}))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "run.json").write_text(json.dumps({"name": folder.name, "recipe": "grpo", "state": "finished"}))
    return folder
