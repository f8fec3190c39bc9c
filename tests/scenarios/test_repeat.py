"""Repeats a training with the same seed: each step draws the same samples, whatever the order of vLLM's requests.

Gradients may differ in their last digits, because vLLM decides by time which requests share a batch. Three steps are
few enough that no token changes for it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

SMALL = ["dataset=phantom", "dataset.loader.train=64", "dataset.loader.val=16", "dataset.loader.test=16"]
STEPS = ["schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.steps=3", "schedule.save_freq=3",
         "schedule.test_freq=3"]  # fmt: skip
DRAWN = ("critic/score/mean", "response_length/mean")  # an update with other samples would change them


def recipe(name: str, *overrides: str) -> None:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *SMALL, *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr


def drawn(folder: Path) -> list[list[float]]:
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [[record["data"][key] for key in DRAWN] for record in records if DRAWN[0] in record["data"]]


@pytest.mark.slow
def test_a_training_repeats_with_its_seed_and_differs_with_another(tmp_path):
    rows = tmp_path / "rows"
    recipe("prepare", f"out={rows}")
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        recipe("grpo", *STEPS, f"parquet={rows}", f"seed={seed}", f"out={tmp_path / name}")
    first, again, other = (drawn(tmp_path / name) for name in ("first", "again", "other"))
    assert len(first) == 3 and again == first and other != first
