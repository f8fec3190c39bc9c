"""Rows with two and four images through SFT, GRPO, evaluation, serving and the report; the table of the two views."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

from vrft_aug.engine.verl.serve import most_images
from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.page.gallery import gallery
from vrft_aug.evaluation.runs import find

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

TWO = ["schedule.steps=2", "schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.save_freq=2",
       "schedule.test_freq=2"]  # fmt: skip
FEW = ["dataset.loader.train=26", "dataset.loader.val=13", "dataset.loader.test=26"]


def recipe(name: str, *overrides: str) -> str:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def steps(run: Path) -> dict[int, dict]:
    found: dict[int, dict] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        found.setdefault(record["step"], {}).update(record["data"])
    return found


@pytest.mark.parametrize(("dataset", "images"), [("phantom_views", 2), ("phantom_slices", 4)])
def test_end_to_end(tmp_path, dataset, images):
    """SFT and GRPO train on all images, the evaluation asks with them, and the report shows them."""
    rows, chosen = tmp_path / "rows", [f"dataset={dataset}", "prompt=knowledge"]
    recipe("prepare", *chosen, *FEW, f"out={rows}")
    recipe("sft", *chosen, *TWO, f"parquet={rows}", f"out={tmp_path / 'sft'}")
    recipe("grpo", *chosen, *TWO, f"parquet={rows}", f"policy.path={tmp_path / 'sft'}", f"out={tmp_path / 'grpo'}")
    for run, loss in (("sft", "train/loss"), ("grpo", "actor/pg_loss")):
        assert all(math.isfinite(steps(tmp_path / run)[step][loss]) for step in (1, 2))
    assert most_images(str(tmp_path / "grpo" / "policy")) == images
    recipe("evaluate", *chosen, f"parquet={rows}", f"policy.path={tmp_path / 'grpo'}", "conditions=[shuffled,blank]",
           "opponents=[pixels,features]", f"out={tmp_path / 'runs' / 'test'}")  # fmt: skip
    predictions = pd.read_parquet(tmp_path / "runs" / "test" / "predictions.parquet")
    assert len(predictions) == 26 and predictions["probabilities"].map(sum).between(0.999, 1.001).all()
    (shown,) = gallery(compare(find([tmp_path / "runs"])[0]), 3)
    assert [len(image["more"]) for image in shown["images"]] == [images - 1] * 3


def test_boxes_in_two_views_are_trained_and_measured(tmp_path):
    rows, chosen = tmp_path / "rows", ["dataset=phantom_views", "prompt=localize_all", "objective=boxes"]
    recipe("prepare", *chosen, *FEW, f"out={rows}")
    recipe("sft", *chosen, *TWO, f"parquet={rows}", f"out={tmp_path / 'sft'}")
    recipe("evaluate", *chosen, f"parquet={rows}", f"policy.path={tmp_path / 'sft'}", f"out={tmp_path / 'test'}")
    predictions = pd.read_parquet(tmp_path / "test" / "predictions.parquet")
    truth = [box for text in predictions["ground_truth"] for box in json.loads(text)]
    assert {box[0] for box in truth} == {1, 2} and all(len(box) == 5 for box in truth)


def test_both_views_beat_each_alone(tmp_path):
    """The table's claims: GRPO with both views against each alone, three seeds."""
    recipe("experiments", "table=views", f"out={tmp_path / 'runs'}")
    recipe("report", "table=views", f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'report'}")
    claims = pd.read_csv(tmp_path / "report" / "claims.csv").to_dict("records")
    alone = [(claim["verdict"], claim["seeds"]) for claim in claims if "alone" in claim["claim"]]
    assert alone == [("supported", 3)] * 2
