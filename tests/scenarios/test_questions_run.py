"""Closed questions in the columns of three published sets: prepared, trained for two GRPO steps, evaluated, reported."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT
from toy_data import write_toy

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

TWO = ["schedule.steps=2", "schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.save_freq=2",
       "schedule.test_freq=2"]  # fmt: skip


def recipe(name: str, *overrides: str) -> None:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2700)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def logged(run: Path) -> dict[int, dict]:
    found: dict[int, dict] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        found.setdefault(record["step"], {}).update(record["data"])
    return found


@pytest.mark.parametrize("name", ["vqa_rad", "slake", "pmc_vqa"])
def test_questions_train_evaluate_and_report(tmp_path, name):
    rows, run, after, report = (tmp_path / part for part in ("rows", "run", "after", "report"))
    write_toy(tmp_path / "raw", name)
    about = [f"dataset={name}", f"parquet={rows}"]
    recipe("prepare", *about, f"data_root={tmp_path / 'raw'}")
    recipe("grpo", *about, *TWO, f"out={run}", f"trainer.rollout_data_dir={run / 'rollouts'}")
    steps = logged(run)
    for step in (1, 2):
        assert math.isfinite(steps[step]["actor/pg_loss"]) and "reward/question/accuracy" in steps[step]
        samples = [json.loads(line) for line in (run / "rollouts" / f"{step}.jsonl").read_text().splitlines()]
        assert len(samples) == 64 and all(sample["gts"] in sample["input"] for sample in samples)
    recipe("evaluate", *about, f"policy.path={run}", f"out={after}")
    metrics = json.loads((after / "metrics.json").read_text())[f"{name}/question"]
    assert metrics["option_chance"]["value"] == (0.25 if name == "pmc_vqa" else 0.5)
    assert {path.name for path in after.iterdir() if path.is_dir()} >= {"shuffled", "blank", "prior"}
    answers = pd.read_parquet(after / "predictions.parquet")
    assert all(sum(one) == pytest.approx(1) for one in answers["probabilities"])
    recipe("report", f"runs=[{run},{after}]", f"out={report}")
    text = (report / "report.md").read_text()
    assert "| Text only (image blanked), % |" in text and "| Option prior, % |" in text
    assert f"### Accuracy per type of question, %: after, {name}/question, test split" in text
