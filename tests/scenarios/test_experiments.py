"""Every experiment of conf/experiment on the real stack, with the tiny policy and two steps: recipes/experiments.py."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

FILES = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
EXPERIMENTS = sorted(FILES - {"quickstart", "warm_start"})
SMALL = [f"+stages.dataset.loader.{split}={size}" for split, size in (("train", 64), ("val", 32), ("test", 32))]
SHORT = ["+training.trainer.total_training_steps=2", "+training.data.train_batch_size=8",
         "+training.policy.mini_batch_size=8", "+training.trainer.save_freq=2",
         "+training.trainer.test_freq=2"]  # fmt: skip


def recipe(name: str, *overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)


def experiments(out: Path, *overrides: str) -> subprocess.CompletedProcess:
    return recipe("experiments", "policy=tiny", *SMALL, *SHORT, f"out={out}", *overrides)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """One folder for all: the experiments share rows and warm starts, as they do in a table."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_runs_end_to_end(name, out):
    dataset = "phantom_grade" if name.endswith("mfrs") else "phantom"
    done = experiments(out, f"table.rows=[{{experiment: {name}}}]", f"table.datasets=[{dataset}]")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    cell = out / "tiny" / f"{dataset}-all" / name
    record = json.loads((cell / "test" / "run.json").read_text())
    assert (record["state"], record["experiment"], record["policy_name"]) == ("finished", name, "tiny")
    predictions = pd.read_parquet(cell / "test" / "predictions.parquet")
    assert len(predictions) == 32
    assert set(predictions["task"]) == {"grading" if name.endswith("mfrs") else "classification"}
    assert (cell / "train" / "policy" / "model.safetensors").exists() == (name != "zero_shot")
    again = experiments(out, f"table.rows=[{{experiment: {name}}}]", f"table.datasets=[{dataset}]")
    assert "stands, skipped" in again.stdout


def test_a_sweep_over_objectives_is_hydras(out):
    """`-m` with two objectives, mixed with a data set that is graded."""
    rows = out / "sweep" / "rows"
    assert recipe("prepare", "dataset=phantom_grade", "dataset.loader.train=64", "dataset.loader.val=32",
                  "dataset.loader.test=32", f"out={rows}").returncode == 0  # fmt: skip
    done = recipe("grpo", "-m", "objective=accuracy,mfrs", "dataset=phantom_grade", f"parquet={rows}",
                  "trainer.total_training_steps=1", "data.train_batch_size=8", "policy.mini_batch_size=8",
                  "trainer.save_freq=1", "trainer.test_freq=1", f"out={out}/sweep/${{objective_name}}")  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for objective in ("accuracy", "mfrs"):
        record = json.loads((out / "sweep" / objective / "run.json").read_text())
        assert (record["state"], record["objective"]) == ("finished", objective)
