"""Two real GRPO steps for each addition about rare classes and uncertain labels, with the number that defines it."""

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT, composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

TWO = ["schedule.steps=2", "schedule.batch_size=8", "schedule.mini_batch_size=8", "schedule.save_freq=2",
       "schedule.test_freq=2"]  # fmt: skip
FEW = ["dataset.loader.train=84", "dataset.loader.val=26", "dataset.loader.test=26"]  # phantom_rare: 40, 40, 2 and 2


def recipe(name: str, *overrides: str) -> None:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def trained(out: Path, dataset: str, experiment: str) -> list[dict]:
    """What the two steps logged, each with the ground truths of its 64 samples."""
    rows, run = out / f"rows-{dataset}", out / experiment
    if not rows.exists():
        recipe("prepare", f"dataset={dataset}", "prompt=knowledge", *FEW, f"out={rows}")
    recipe("grpo", f"experiment={experiment}", f"dataset={dataset}", f"parquet={rows}", *TWO, f"out={run}",
           f"trainer.rollout_data_dir={run / 'rollouts'}")  # fmt: skip
    found: dict[int, dict] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        found.setdefault(record["step"], {}).update(record["data"])
    for step in (1, 2):
        samples = (run / "rollouts" / f"{step}.jsonl").read_text().splitlines()
        found[step]["truths"] = Counter(json.loads(sample)["gts"] for sample in samples)
        assert math.isfinite(found[step]["actor/pg_loss"]) and found[step]["truths"].total() == 64
    return [found[1], found[2]]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


def weights(step: dict) -> list[float]:
    return [step[f"group_weight/{name}"] for name in ("min", "mean", "max")]


@pytest.mark.parametrize("experiment", ["v_rft_pa_p_balanced", "v_rft_pa_p_balanced_rarity"])
def test_balanced_batches_have_each_class_equally_often(out, experiment):
    common, rare = 40**-0.5, 2**-0.5
    mean = (common + rare) / 2
    for step in trained(out, "phantom_rare", experiment):
        assert step["truths"] == dict.fromkeys(composed("grpo", "dataset=phantom_rare").dataset.classes, 16)
        if experiment.endswith("rarity"):
            assert weights(step) == pytest.approx([common / mean, 1, rare / mean])
        else:
            assert "group_weight/mean" not in step


def test_a_rare_class_weighs_by_the_root_of_its_size(out):
    names = composed("grpo", "dataset=phantom_rare").dataset.classes
    plain = dict(zip(names, (40**-0.5, 40**-0.5, 2**-0.5, 2**-0.5), strict=True))
    mean = (80 * 40**-0.5 + 4 * 2**-0.5) / 84
    for step in trained(out, "phantom_rare", "v_rft_pa_p_rarity"):
        groups = [plain[name] / mean for name, samples in step["truths"].items() for _ in range(samples // 8)]
        assert weights(step) == pytest.approx([min(groups), sum(groups) / 8, max(groups)])


def agreements(out: Path) -> pd.Series:
    """How far the two readers agree on each training row: 1, 3/4 or 1/2 for grades that differ by 0, 1 or 2 of 4."""
    rows = pd.read_parquet(out / "rows-phantom_readers" / "train.parquet")["extra_info"]
    return rows.map(lambda info: 1 - abs(int(info["readers"][0]["value"]) - int(info["readers"][1]["value"])) / 4)


def test_images_that_the_readers_grade_alike_weigh_more(out):
    found = [weights(step) for step in trained(out, "phantom_readers", "v_rft_pa_p_mfrs_agreement")]
    scaled = [[one * agreements(out).mean() for one in step] for step in found]
    for lowest, mean, highest in scaled:
        assert lowest < mean < highest
        assert all(min(abs(one - known) for known in (0.5, 0.75, 1)) < 1e-6 for one in (lowest, highest))
    assert max(highest for *_, highest in scaled) == pytest.approx(1)  # one of the steps has an image of this kind


def test_images_whose_answers_differ_weigh_more(out):
    for step in trained(out, "phantom_readers", "v_rft_pa_p_mfrs_spread"):
        lowest, mean, highest = weights(step)
        assert lowest < 1 < highest and mean == pytest.approx(1)


def test_a_soft_ground_truth_pays_in_training(out):
    for step in trained(out, "phantom_readers", "v_rft_pa_p_mfrs_readers"):
        part = {name: step[f"reward/grading/{name}"] for name in ("score", "expected_mfrs", "format")}
        assert part["score"] == pytest.approx(0.9 * part["expected_mfrs"] + 0.1 * part["format"])
        assert part["expected_mfrs"] > step["reward/grading/acc"]  # acc counts the consensus alone
