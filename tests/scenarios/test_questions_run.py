"""Closed questions in the published columns of three sets, by the commands of docs/questions.md: two GRPO steps."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from documented import commands
from repository import ROOT
from toy_data import write_toy

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

TWO = ["schedule.steps=2", "schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.save_freq=2",
       "schedule.test_freq=2"]  # fmt: skip


COMMANDS = [command.words for command in commands(ROOT / "docs" / "questions.md")]


def run_as_documented(folder: Path, name: str) -> None:
    """The page's commands in a folder of their own, with another data set's name and a short training."""
    for _, recipe, *overrides in COMMANDS:
        short = [*TWO, "trainer.rollout_data_dir=runs/rollouts"] if recipe.endswith("grpo.py") else []
        overrides = [one.replace("vqa_rad", name) for one in overrides]
        command = [sys.executable, str(ROOT / recipe), *overrides, *short]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=2700)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def logged(run: Path) -> dict[int, dict]:
    found: dict[int, dict] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        found.setdefault(record["step"], {}).update(record["data"])
    return found


@pytest.mark.parametrize("name", ["vqa_rad", "slake", "pmc_vqa"])
def test_questions_train_evaluate_and_report(tmp_path, name):
    write_toy(tmp_path / "data", name)
    run_as_documented(tmp_path, name)
    run, after, report = (tmp_path / "runs" / f"{name}{part}" for part in ("", "_test", "_report"))
    steps = logged(run)
    for step in (1, 2):
        assert math.isfinite(steps[step]["actor/pg_loss"]) and "reward/question/accuracy" in steps[step]
        rollouts = (tmp_path / "runs" / "rollouts" / f"{step}.jsonl").read_text()
        samples = [json.loads(line) for line in rollouts.splitlines()]
        assert len(samples) == 64 and all(sample["gts"] in sample["input"] for sample in samples)
    metrics = json.loads((after / "metrics.json").read_text())[f"{name}/question"]
    assert metrics["option_chance"]["value"] == (0.25 if name == "pmc_vqa" else 0.5)
    assert {path.name for path in after.iterdir() if path.is_dir()} >= {"shuffled", "blank", "prior"}
    answers = pd.read_parquet(after / "predictions.parquet")
    assert all(sum(one) == pytest.approx(1) for one in answers["probabilities"])
    text = (report / "report.md").read_text()
    assert "| Text only (image blanked), % |" in text and "| Option prior, % |" in text
    assert f"### Accuracy per type of question, %: {name}_test, {name}/question, test split" in text
