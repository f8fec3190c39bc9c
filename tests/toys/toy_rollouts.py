"""Writes small trainings with rollouts and their prepared rows, for the tests of the page and of the report."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vrft_aug.engine.run import rollouts_file
from vrft_aug.engine.run.rollouts_file import Answer, Group

CLASSES = ["ring", "cross"]
KNOWLEDGE = ["two bright rings in the centre", "one dark cross below"]


def answer(label: str, truth: str, thought: str = "two bright rings in the centre", **changes) -> Answer:
    """A sample that is paid 0.9 for a right answer and 0.1 for its form; the label "" is an answer of lost form."""
    right, form = float(label == truth), float(bool(label))
    parts = [{"name": "accuracy", "value": right, "share": 0.9 * right}, {"name": "format", "value": form,
             "share": 0.1 * form}]  # fmt: skip
    response = f"<think> {thought}, so {label} </think> \\boxed{{{label}}}" if label else f"{thought}. Hm."
    return {"response": response, "prediction": label, "rejected": "" if label else "no answer", "acc": right,
            "score": 0.9 * right + 0.1 * form, "parts": parts, "tokens": 25, "advantage": right - 0.5,
            "kl": 0.01} | changes  # fmt: skip


def group(step: int, row: int, labels: Sequence[str], split: str = "train", **changes) -> Group:
    """A prompt of row `row`, whose class is that of its number, and one answer per label."""
    truth = CLASSES[row % 2]
    return {"step": step, "split": split, "prompt": f"{step:05}.{row:04}", "followed": split == "val" or row == 0,
            "index": row, "source_id": f"{split}_{row}", "data_source": "toy", "task": "classification", "truth": truth,
            "classes": CLASSES, "text": "<image>Which shape?", "knowledge": KNOWLEDGE,
            "answers": [answer(label, truth) for label in labels]} | changes  # fmt: skip


def write_step(run: Path, step: int, validate: bool = True) -> None:
    """Three groups of training (mixed, all right, one answer of lost form) and two of validation, and their metrics."""
    trained = [group(step, 0, ["ring", "cross", "ring"]), group(step, 1, ["cross"] * 3),
               group(step, 2, ["ring", "", "ring"])]  # fmt: skip
    rollouts_file.write(run, trained, 64)
    if validate:
        rollouts_file.write(run, [group(step, 0, ["ring"], "val"), group(step, 1, [CLASSES[step % 2]], "val")], 64)
    with (run / "metrics.jsonl").open("a") as file:
        data = {"critic/score/mean": 0.5 + step / 100, "reward/classification/top_prediction": 0.95}
        file.write(json.dumps({"step": step, "data": data | {"timing_s/step": 12.0}}) + "\n")


def write_picture_rows(folder: Path, rows: int = 4, size: tuple[int, int] = (96, 80)) -> Path:
    """Prepared rows of both splits, each with one image of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in rollouts_file.SPLITS:
        table = []
        for row in range(rows):
            encoded = io.BytesIO()
            noise = np.random.default_rng(row).integers(0, 255, (*size[::-1], 3), np.uint8)
            Image.fromarray(noise).save(encoded, "PNG")
            info = {"index": row, "source_id": f"{split}_{row}"}
            table.append({"images": [{"bytes": encoded.getvalue(), "path": None}], "extra_info": info})
        pd.DataFrame(table).to_parquet(folder / f"{split}.parquet")
    return folder


def write_rollouts(folder: Path, done: int, rows: Path | None = None, **run) -> Path:
    """A training that has done these steps, each validated."""
    folder.mkdir(parents=True)
    record = {"name": folder.name, "recipe": "grpo", "state": "finished", "dataset": "toy", "steps": done}
    (folder / "run.json").write_text(json.dumps(record | {"parquet": rows and str(rows)} | run))
    for step in range(1, done + 1):
        write_step(folder, step)
    return folder
