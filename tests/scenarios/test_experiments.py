"""Runs every experiment of conf/experiment on the real stack, with the tiny policy and two steps."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from repository import ROOT, choices

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

SMALL = [f"+stages.dataset.loader.{split}={size}" for split, size in (("train", 64), ("val", 32), ("test", 32))]
SCHEDULE = {"steps": 2, "batch_size": 8, "mini_batch_size": 8, "save_freq": 2, "test_freq": 2}
SHORT = [f"+training.schedule.{key}={value}" for key, value in SCHEDULE.items()]

FIND = ("v_rft_boxes", "v_sft_boxes", "v_sft_boxes_v_rft")  # they are tested on what they train


def recipe(name: str, *overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)


def experiments(out: Path, *overrides: str) -> subprocess.CompletedProcess:
    return recipe("experiments", "policy=tiny", *SMALL, *SHORT, f"out={out}", *overrides)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """One folder for all: the experiments share rows, as in a table."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("name", choices("experiment"))
def test_runs_end_to_end(name, out):
    task = ("detection" if name in FIND else "grading" if "_mfrs" in name or name.endswith("kappa")
            else "localization" if name.startswith("v_rft_localize") else "classification")  # fmt: skip
    dataset = "phantom_readers" if "_mfrs_" in name else "phantom_grade" if task == "grading" else "phantom"
    dataset = "phantom_views" if name.endswith("_image") else dataset
    done = experiments(out, f"table.rows=[{{experiment: {name}}}]", f"table.datasets=[{dataset}]")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    cell = out / "tiny" / f"{dataset}-all" / name
    record = json.loads((cell / "test" / "run.json").read_text())
    assert (record["state"], record["experiment"], record["policy_name"]) == ("finished", name, "tiny")
    predictions = pd.read_parquet(cell / "test" / "predictions.parquet")
    assert len(predictions) == 32
    assert set(predictions["task"]) == {task}
    assert record["trained_on"] == (None if name.startswith("zero_shot") else [dataset])
    again = experiments(out, f"table.rows=[{{experiment: {name}}}]", f"table.datasets=[{dataset}]")
    assert "done before, skipped" in again.stdout


def test_a_sweep_over_objectives_is_hydras(out):
    """`-m` with two objectives, on a data set of grades."""
    rows = out / "sweep" / "rows"
    assert recipe("prepare", "dataset=phantom_grade", "dataset.loader.train=64", "dataset.loader.val=32",
                  "dataset.loader.test=32", f"out={rows}").returncode == 0  # fmt: skip
    done = recipe("grpo", "-m", "objective=accuracy,mfrs", "dataset=phantom_grade", f"parquet={rows}",
                  "schedule.steps=1", "schedule.batch_size=8", "schedule.mini_batch_size=8",
                  "schedule.save_freq=1", "schedule.test_freq=1", f"out={out}/sweep/${{objective_name}}")  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for objective in ("accuracy", "mfrs"):
        record = json.loads((out / "sweep" / objective / "run.json").read_text())
        assert (record["state"], record["objective"]) == ("finished", objective)


def test_a_table_whose_server_is_killed_loses_no_cell_and_leaves_no_process(tmp_path):
    log = tmp_path / "log.txt"
    rows = ["table.rows=[{experiment: v_rft}, {experiment: v_rft_pa_p}]", "table.datasets=[phantom]"]
    command = [sys.executable, str(ROOT / "recipes" / "experiments.py"), "policy=tiny", *SMALL, *SHORT, *rows,
               f"out={tmp_path / 'runs'}"]  # fmt: skip
    with log.open("w") as output:
        table = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    while "step 1/2" not in log.read_text():
        assert table.poll() is None, log.read_text()
        time.sleep(0.2)
    children = psutil.Process(table.pid).children()
    (server,) = [one for one in children if "vrft_aug.engine.cpu.fork_server" in one.cmdline()]
    family = server.children(recursive=True)
    server.kill()
    assert table.wait(600) == 0, log.read_text()
    folders = sorted((tmp_path / "runs").glob("tiny/*/*/test/run.json"))
    assert [json.loads(file.read_text())["state"] for file in folders] == ["finished", "finished"]
    assert log.read_text().count("killed") == 1, "by the reaper of the training that ended with the server"
    assert psutil.wait_procs(family, timeout=30)[1] == []
