"""Each form of a prompt trains: V-SFT teaches the form, and two steps of GRPO pay as the form, or RLCR, says."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

SMALL = ["dataset=phantom", "dataset.loader.train=64", "dataset.loader.val=16", "dataset.loader.test=16"]
STEPS = ["schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.steps=2", "schedule.save_freq=2",
         "schedule.test_freq=2"]  # fmt: skip
OURS = "reward/classification/"  # prefix of the metrics of our rewards


def recipe(name: str, *overrides: str) -> None:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *SMALL, *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr


def trained(folder: Path, experiment: str, taught: bool = True) -> tuple[list[dict[str, float]], pd.DataFrame]:
    """What two steps of GRPO logged about the rewards, and the answers to the test images after them.

    taught: V-SFT has taught the form before.
    """
    common = [f"experiment={experiment}", f"parquet={folder / 'rows'}"]
    recipe("prepare", f"experiment={experiment}", f"out={folder / 'rows'}")
    path = []
    if taught:
        prompt = json.loads((folder / "rows" / "manifest.json").read_text())["prompt"]["name"]
        recipe("sft", "preset=form_start", f"prompt={prompt}", common[1], f"out={folder / 'start'}")
        path = [f"policy.path={folder / 'start'}"]
    recipe("grpo", *common, *path, *STEPS, f"out={folder / 'run'}")
    after = [f"policy.path={folder / 'run'}", "conditions=[]", "opponents=[]"]
    recipe("evaluate", *common, *after, f"out={folder / 'test'}")
    records = map(json.loads, (folder / "run" / "metrics.jsonl").read_text().splitlines())
    logged = [record["data"] for record in records if f"{OURS}score" in record["data"]]
    own = [{key.removeprefix(OURS): value for key, value in one.items() if key.startswith(OURS)} for one in logged]
    return own, pd.read_parquet(folder / "test" / "predictions.parquet")


def test_a_policy_that_goes_on_thinking_is_paid_nothing(tmp_path):
    steps, answers = trained(tmp_path, "v_rft_no_think", taught=False)
    assert len(steps) == 2
    for step in steps:
        assert step["no_answer"] > 0.9 and step["score"] < 0.1 and step["response_length"] > 12
    assert answers["rejected"].eq("no answer").mean() > 0.9 and answers["thought_right"].isna().all()


def test_without_a_thought_a_response_is_its_answer(tmp_path):
    steps, answers = trained(tmp_path, "v_rft_no_think")
    for step in steps:
        assert step["format"] > 0.8 and step["response_length"] < 12
        assert step["score"] == pytest.approx(0.9 * step["accuracy"] + 0.1 * step["format"])
    assert answers["format"].mean() > 0.8 and not answers["response"].str.contains("<think>").any()
    assert answers["probabilities"].map(sum).between(0.999, 1.001).all()


def test_the_thought_comes_behind_the_answer(tmp_path):
    steps, answers = trained(tmp_path, "v_rft_answer_first")
    for step in steps:
        assert step["format"] > 0.8 and step["response_length"] > 12
    well = answers[answers["format"] == 1.0]["response"]
    assert len(well) > 8 and (well.str.find("boxed") < well.str.find("<think>")).all()


@pytest.mark.parametrize(("experiment", "paid"), [("v_rft_rlcr", 0.45), ("v_rft_confidence", 0.0)])
def test_a_stated_confidence_is_paid_by_the_brier_score_or_only_measured(tmp_path, experiment, paid):
    steps, answers = trained(tmp_path, experiment)
    for step in steps:
        accuracy = 0.9 - paid
        assert step["score"] == pytest.approx(accuracy * step["accuracy"] + paid * step["brier"] + 0.1 * step["format"])
        assert step["format"] > 0.5 and 0 <= step["stated_confidence"] <= 1
    said = answers.dropna(subset="stated_confidence")
    error = (said["stated_confidence"] - said["acc"]) ** 2
    answered = said["prediction"] != ""
    assert said["brier"][answered].to_list() == pytest.approx((1 - error)[answered].to_list())
    metrics = json.loads((tmp_path / "test" / "metrics.json").read_text())["phantom/classification"]
    assert metrics["stated_brier"]["value"] == pytest.approx(error.mean())
