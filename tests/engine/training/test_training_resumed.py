"""A resumed training sees the same rows as one that was never stopped, also when it stopped at the end of an epoch."""

import json
import signal
import subprocess
import sys

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.engine.run.metrics_file import read_steps


def recipe(name: str, *overrides: str) -> None:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_supervised_training_resumed_between_two_epochs(tmp_path):
    recipe("prepare", *(f"dataset.loader.{split}={rows}" for split, rows in (("train", 64), ("val", 32), ("test", 8))),
           f"out={tmp_path / 'rows'}")  # fmt: skip
    common = [f"parquet={tmp_path / 'rows'}", "schedule.batch_size=32", "trainer.total_training_steps=null",
              "trainer.save_freq=1", "trainer.test_freq=1"]  # fmt: skip
    recipe("sft", *common, "trainer.total_epochs=2", f"out={tmp_path / 'whole'}")
    for epochs in (1, 2):
        recipe("sft", *common, f"trainer.total_epochs={epochs}", f"out={tmp_path / 'resumed'}")
    whole, resumed = (read_steps(tmp_path / name / "metrics.jsonl") for name in ("whole", "resumed"))
    assert sorted(whole) == sorted(resumed) == [1, 2, 3, 4]
    for step, metrics in whole.items():
        for key in ("train/loss", "train/grad_norm", "val/loss"):
            assert resumed[step][key] == pytest.approx(metrics[key], rel=1e-5), (step, key)
    kept = {path.name for path in (tmp_path / "resumed" / "checkpoints").glob("global_step_*")}
    assert kept == {"global_step_3", "global_step_4"}


@pytest.mark.slow
def test_supervised_training_that_is_stopped_says_interrupted(tmp_path):
    recipe("prepare", *(f"dataset.loader.{split}={rows}" for split, rows in (("train", 64), ("val", 32), ("test", 8))),
           f"out={tmp_path / 'rows'}")  # fmt: skip
    command = [sys.executable, "recipes/sft.py", f"parquet={tmp_path / 'rows'}", "trainer.total_training_steps=1000",
               f"out={tmp_path / 'out'}"]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = [line for line in process.stdout if "step 2/" not in line or process.send_signal(signal.SIGTERM)]
    assert process.returncode == 130 and lines[-1] == "error: interrupted\n", lines
    assert json.loads((tmp_path / "out" / "run.json").read_text())["state"] == "interrupted"
