"""Writes evaluations with everything that preset=journal measures, for the tests of the report and its pictures."""

import json
from pathlib import Path

import numpy as np
from toy_runs import predictions, write_evaluation, write_rows

from vrft_aug.evaluation.answers.conditions import CONDITIONS
from vrft_aug.evaluation.beside import TITLES, VALIDATION
from vrft_aug.evaluation.metrics.operating_points import operating

CLASSES = ("normal", "bacterial pneumonia", "viral pneumonia")
IMAGES = 300


def write_journal(root: Path) -> Path:
    """Two runs on the same images: one half right, one mostly right and too sure. Returns the folder of the runs."""
    truth = np.random.default_rng(0).choice(CLASSES, IMAGES, p=[0.5, 0.3, 0.2])
    rows = str(write_rows(root / "rows", predictions(truth[:40], truth[:40])))
    for place, (name, share, sure) in enumerate((("before", 0.5, 0.6), ("after", 0.8, 0.97))):
        _write(root / "runs" / name, name, truth, share, sure, parquet=rows, ended=f"2026-01-0{place + 1}T00:00:00Z")
    return root / "runs"


def _write(folder: Path, name: str, truth: np.ndarray, share: float, sure: float, **run: str) -> None:
    table = _answers(truth, share, sure, 1)
    write_evaluation(folder, name, table, **run)
    for place, beside in enumerate(TITLES):
        kept = share * (0.9 if "_1" in beside or beside == "jpeg_2" else 0.6 if "_" in beside else 0.1)
        other = _answers(truth, share if beside == VALIDATION else kept, sure, 10 + place)
        if beside == VALIDATION:
            other["source_id"] = "validation_" + other["source_id"]
        elif beside not in CONDITIONS:
            other = _answers(truth, 0.6, 0.7, 10 + place)
        write_evaluation(folder / beside, f"{name}, {TITLES[beside]}", other, **run | {"beside": beside})
        if beside == VALIDATION:
            _add_points(folder, operating(other, table, list(CLASSES[1:]), 0, harm=0.1))


def _answers(truth: np.ndarray, share: float, sure: float, seed: int):
    rng = np.random.default_rng(seed)
    answers = np.where(rng.random(IMAGES) < share, truth, rng.choice(CLASSES, IMAGES))
    top = np.clip(rng.normal(sure, 0.1, IMAGES), 0.4, 0.999)
    scores = [[one if name == answer else (1 - one) / 2 for name in CLASSES]
              for one, answer in zip(top, answers, strict=True)]  # fmt: skip
    values = {"sex": ["female", "male"], "age": ["0-39", "40-59", "60+"]}
    tags = {f"slice_{name}": rng.choice(some, IMAGES) for name, some in values.items()}
    readers = {f"reader_{name}": np.where(rng.random(IMAGES) < 0.9, truth, rng.choice(CLASSES, IMAGES))
               for name in "RD"}  # fmt: skip
    return predictions(truth, answers, CLASSES, "classification", probabilities=scores, **tags, **readers)


def _add_points(folder: Path, points: dict | None) -> None:
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    for values in metrics.values():
        values["operating"] = points
    file.write_text(json.dumps(metrics))
