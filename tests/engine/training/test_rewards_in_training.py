"""Each reward beyond the paper's trains for two steps on the real stack, and does what its formula says."""

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.engine.run.metrics_file import read_steps

pytestmark = pytest.mark.slow

SIZES = [f"dataset.loader.{split}={rows}" for split, rows in (("train", 64), ("val", 32), ("test", 8))]
SMALL = ["schedule.batch_size=8", "schedule.mini_batch_size=8"]


def command(name: str, *overrides: str) -> list[str]:
    return [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]


def recipe(name: str, *overrides: str) -> None:
    done = subprocess.run(command(name, *overrides), capture_output=True, text=True, cwd=ROOT, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    recipe("prepare", "dataset=phantom_grade", "prompt=names", *SIZES, f"out={folder / 'names'}")
    recipe("prepare", "dataset=phantom", "prompt=localize", *SIZES, f"out={folder / 'localize'}")
    return folder


def training(rows: Path, prompt: str, steps: int, out: Path, *overrides: str) -> list[str]:
    """What describes a training with a checkpoint and a validation after its last step."""
    dataset = "phantom_grade" if prompt == "names" else "phantom"
    schedule = [f"schedule.{key}={steps}" for key in ("steps", "save_freq", "test_freq")]
    return [f"dataset={dataset}", f"prompt={prompt}", f"parquet={rows / prompt}", *SMALL, *schedule, *overrides,
            f"out={out}"]  # fmt: skip


def two_steps(rows: Path, prompt: str, out: Path, *overrides: str) -> pd.DataFrame:
    """Train; return the answers of the last validation, one row per image."""
    recipe("grpo", *training(rows, prompt, 2, out, *overrides))
    return pd.read_json(out / "validation" / "2.jsonl", lines=True, dtype=False)


def test_the_threshold_tightens_also_after_a_resumption(rows, tmp_path):
    """From 0.3 to 0.75 over half of nine steps: it stops in the middle, and is resumed."""
    overrides = training(rows, "localize", 9, tmp_path, "objective=iou_tightening")
    with subprocess.Popen(command("grpo", *overrides), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:  # fmt: skip
        lines = [line for line in process.stdout if "step 2/" not in line or process.send_signal(signal.SIGTERM)]
    assert process.returncode == 130, lines
    stopped = max(read_steps(tmp_path / "metrics.jsonl"))
    assert 2 <= stopped < 5, "no step is left in which the threshold moves"
    recipe("grpo", *overrides)
    found = read_steps(tmp_path / "metrics.jsonl")
    expected = {1: 0.3, 2: 0.4125, 3: 0.525, 4: 0.6375} | dict.fromkeys(range(5, 10), 0.75)
    for step, threshold in expected.items():
        assert found[step]["reward/localization/iou_threshold"] == pytest.approx(threshold), (step, stopped)
    validations = [pd.read_json(file, lines=True, dtype=False) for file in (tmp_path / "validation").glob("*.jsonl")]
    assert len(validations) > 1 and set(pd.concat(validations)["iou_threshold"]) == {0.75}


def test_the_continuous_iou_is_between_none_and_all(rows, tmp_path):
    answers = two_steps(rows, "localize", tmp_path, "objective=iou_continuous")
    assert answers["iou"].between(0.01, 0.99).any()
    assert ((answers["iou"] >= 0.5) == (answers["acc"] == 1)).all()
    assert 0 < read_steps(tmp_path / "metrics.jsonl")[2]["reward/localization/iou"] < 1


def test_a_near_grade_earns_the_credit_of_quadratic_kappa(rows, tmp_path):
    answers = two_steps(rows, "names", tmp_path, "objective=kappa")
    answered = answers[answers["rejected"] == ""]
    away = answered["prediction"].astype(int) - answered["gts"].astype(int)
    assert (away.abs() > 0).any()
    assert answered["kappa"].to_numpy() == pytest.approx((1 - (away / 4) ** 2).to_numpy())


def test_a_long_response_earns_less(rows, tmp_path):
    bound = ["objective.grading.length.tokens=10", "objective.grading.length.margin=60"]
    answers = two_steps(rows, "names", tmp_path, "objective=length", *bound)
    expected = (1 - (answers["response_length"] - 10) / 60).clip(0, 1)
    assert (expected < 1).any() and answers["length"].to_numpy() == pytest.approx(expected.to_numpy())
