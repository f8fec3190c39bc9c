"""Watches real trainings (verl, Ray, vLLM and FSDP): killing the page's server or the training harms nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT
from watching import Watching

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

SMALL = ["dataset.loader.train=64", "dataset.loader.val=16", "dataset.loader.test=16"]
STEPS = ["schedule.batch_size=8", "schedule.mini_batch_size=8", "trainer.val_before_train=false",
         "trainer.test_freq=-1", "trainer.save_freq=2"]  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rows")
    subprocess.run([sys.executable, "recipes/prepare.py", *SMALL, f"out={out}"], cwd=ROOT, check=True, timeout=300)
    return out


def train(rows: Path, out: Path, steps: int) -> subprocess.Popen:
    command = [sys.executable, "recipes/grpo.py", f"parquet={rows}", f"out={out}", *STEPS,
               f"trainer.total_training_steps={steps}"]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)  # fmt: skip


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def metrics(out: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def step_of(server: Watching) -> int:
    return server.runs().get("run", {}).get("step") or 0


def test_server_and_training_die_beside_each_other_and_a_resumed_run_goes_on_in_the_same_view(rows, tmp_path):
    out = tmp_path / "runs" / "run"
    with Watching(f"run={out.parent}") as server:
        assert server.runs() == {}
        training = train(rows, out, 6)
        until(lambda: step_of(server) >= 1)
        key = server.runs()["run"]["key"]
        assert server.runs()["run"]["state"] == "running" and 1 in server.steps(key)
    until(lambda: max(metrics(out)) >= 3)  # the training has gone on without the server
    with Watching(f"run={out.parent}") as server:
        os.kill(training.pid, signal.SIGKILL)
        training.communicate(timeout=60)
        until(lambda: server.runs()["run"]["state"] in ("failed", "process gone"), 60)
        dead = server.runs()["run"]
        assert dead["key"] == key and "killed" in dead["why"] and server.steps(key)[:3] == [1, 2, 3]

        resumed = train(rows, out, 6)
        assert resumed.communicate(timeout=300)[1] == "" and resumed.returncode == 0
        last = server.runs()["run"]
        assert (last["key"], last["state"], last["step"], last["steps"]) == (key, "finished", 6, 6)
        assert server.steps(key) == sorted(set(metrics(out))) == [1, 2, 3, 4, 5, 6]
