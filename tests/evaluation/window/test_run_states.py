"""How runs stand: by run.json, by their process, and by their files."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_rollouts import write_rollouts, write_step
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.window.run_states import SILENT, run_folders, standing, states

HERE = socket.gethostname()


def now(seconds: float = 0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def running(**record) -> dict:
    return {"state": "running", "pid": os.getpid(), "started": now(), "host": HERE} | record


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_whose_process_lives_runs():
    assert standing(running(), quiet=10 * SILENT, pace=None) == ("running", "")


def test_a_run_whose_process_is_gone_is_said_to_be_gone(dead):
    state, why = standing(running(pid=dead), quiet=0, pace=None)
    assert state == "process gone" and "resume" in why


def test_a_later_process_of_the_same_number_is_not_the_run():
    assert standing(running(started=now(-10 * 365 * 86400)), quiet=0, pace=None)[0] == "process gone"


@pytest.mark.parametrize("host", ["another-machine", None])  # None: a run of an earlier version
def test_a_run_on_another_machine_runs_while_its_files_change(dead, host):
    record = running(pid=dead, host=host)
    assert standing(record, quiet=5, pace=2)[0] == "running"
    assert standing(record, quiet=SILENT + 1, pace=2)[0] == "silent"
    assert standing(record, quiet=SILENT + 1, pace=SILENT)[0] == "running"  # its steps are as long


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_a_run_that_has_ended_is_believed(state):
    assert standing({"state": state, "why": "no space"}, 0, None) == (state, "no space")


def test_a_malformed_record_is_no_process():
    assert standing(running(pid="x", host=None), 0, None)[0] == "running"
    assert standing(running(started="yesterday", host=None), SILENT + 1, None)[0] == "silent"


def test_step_and_time_left(tmp_path):
    run = write_rollouts(tmp_path / "run", 3, state="running", pid=os.getpid(), started=now(), steps=13)
    (one,) = states(tmp_path)
    assert (one["step"], one["steps"], one["left"], one["training"]) == (3, 13, 120.0, True)
    assert 0 <= one["quiet"] < 60 and one["name"] == "run"
    before = one["metrics"], one["rollouts"]
    write_step(run, 4)
    (one,) = states(tmp_path)
    assert one["step"] == 4 and one["metrics"] != before[0] and one["rollouts"] != before[1]


def test_all_runs_below_a_folder_in_the_order_of_their_starts(tmp_path):
    write_rollouts(tmp_path / "b" / "train", 1, started="2026-01-01T00:00:00Z")
    write_rollouts(tmp_path / "a" / "train", 1, started="2026-01-02T00:00:00Z")
    test = write_evaluation(tmp_path / "b" / "test", "test", predictions(["0"], ["0"]), started="2026-01-03T00:00:00Z")
    write_evaluation(test / "shuffled", "shuffled", predictions(["0"], ["0"]), beside="shuffled")
    found = states(tmp_path)
    assert [one["name"] for one in found] == ["b/train", "a/train", "b/test"]
    assert [one["training"] for one in found] == [True, True, False]
    assert run_folders(tmp_path)[found[0]["key"]] == tmp_path / "b" / "train"


def test_a_folder_that_does_not_exist_has_no_runs(tmp_path):
    assert states(tmp_path / "later") == []


def test_a_folder_without_run_json_and_one_that_is_damaged(tmp_path):
    write_rollouts(tmp_path / "old", 1)
    (tmp_path / "old" / "run.json").unlink()
    write_rollouts(tmp_path / "torn", 1)
    (tmp_path / "torn" / "run.json").write_text("{")
    old, torn = states(tmp_path)
    assert (old["state"], old["training"], old["step"]) == ("not recorded", True, 1)
    assert torn["state"] == "damaged" and "torn/run.json" in torn["why"]


def test_it_looks_into_no_checkpoint(tmp_path):
    run = write_rollouts(tmp_path / "run", 1)
    (run / "checkpoints" / "global_step_1").mkdir(parents=True)
    (run / "checkpoints" / "global_step_1" / "run.json").write_text(json.dumps({"recipe": "grpo"}))
    write_rollouts(tmp_path / "rows" / "run", 1)  # such a name outside a run is an ordinary folder
    assert [Path(folder).relative_to(tmp_path).as_posix() for folder in run_folders(tmp_path).values()] == [
        "rows/run", "run"]  # fmt: skip
