"""A cluster of two nodes on this machine runs the jobs of launch/ray_job.py, finishes them and stops them."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from repository import ROOT
from watching import Watching

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

SMALL = ["dataset.loader.train=32", "dataset.loader.val=16", "dataset.loader.test=16", "out=rows"]
STEPS = ["parquet=rows", "schedule.batch_size=8", "schedule.mini_batch_size=8", "trainer.val_before_train=false"]


@pytest.fixture(scope="module")
def cluster():
    from two_nodes import TwoNodes

    with TwoNodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def folder(cluster, tmp_path_factory) -> Path:
    """The shared folder, with rows that a first job prepared there."""
    folder = tmp_path_factory.mktemp("shared")
    prepared = call(cluster, "submit", f"--folder={folder}", "--", "recipes/prepare.py", *SMALL)
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    assert "Ray cluster: 2 nodes" in prepared.stdout
    assert (folder / "rows" / "train.parquet").is_file()
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "launch/ray_job.py", *arguments]


def call(cluster, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), cwd=ROOT, env=cluster.env, capture_output=True, text=True, timeout=900)


def wait_until(happened, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"no {what} in {seconds} s"
        time.sleep(1)


def workers(cluster) -> list[psutil.Process]:
    """Processes of jobs: Ray's actors and their children, as vLLM's engine; not what belongs to the nodes."""
    found = []
    for process in cluster.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            name = " ".join(process.cmdline())
            if (name.startswith(("ray::", "VLLM::")) and "Agent " not in name) or "recipes/" in name:
                found.append(process)
    return found


def test_a_job_goes_on_after_its_terminal_is_killed(cluster, folder):
    steps = [*STEPS, "trainer.total_training_steps=1", "trainer.save_freq=1", "out=run"]
    arguments = command("submit", "--id=kept", f"--folder={folder}", "--", "recipes/grpo.py", *steps)
    terminal = subprocess.Popen(arguments, cwd=ROOT, env=cluster.env, stdout=subprocess.PIPE, text=True)
    for line in terminal.stdout:  # it follows the log
        if "steps 1 to 1" in line:
            break
    terminal.send_signal(signal.SIGKILL)
    assert terminal.wait(10) == -signal.SIGKILL
    assert call(cluster, "status", "kept").stdout == "job kept RUNNING\n"

    log = call(cluster, "logs", "kept")
    assert log.returncode == 0, log.stdout
    assert "step 1/1" in log.stdout and log.stdout.endswith("job kept SUCCEEDED\n")
    assert json.loads((folder / "run" / "run.json").read_text())["state"] == "finished"
    assert (folder / "run" / "policy" / "config.json").is_file()
    assert len((folder / "run" / "metrics.jsonl").read_text().splitlines()) == 1
    assert "recipes/grpo.py" in call(cluster, "list").stdout


def test_a_job_is_watched_from_the_shared_folder(cluster, folder):
    """Its server is no process of the cluster, and knows the folder alone."""
    steps = [*STEPS, "trainer.total_training_steps=3", "out=watched"]
    seen = []

    def finished() -> bool:
        run = server.runs().get("watched", {})
        seen.append((run.get("state"), run.get("step")))
        return run.get("state") == "finished"

    with Watching(f"run={folder}") as server:
        submitted = call(cluster, "submit", "--id=watched", "--detach", f"--folder={folder}", "--", "recipes/grpo.py",
                         *steps)  # fmt: skip
        assert submitted.returncode == 0, submitted.stderr
        wait_until(finished, 400, "end of the training")
        assert ("running", 1) in seen and seen[-1] == ("finished", 3)
        assert server.steps(server.runs()["watched"]["key"]) == [1, 2, 3]


def test_a_stopped_job_leaves_no_process(cluster, folder):
    steps = [*STEPS, "trainer.total_training_steps=100", "out=stopped"]
    assert call(cluster, "submit", "--id=ended", "--detach", f"--folder={folder}", "--", "recipes/grpo.py", *steps
                ).returncode == 0  # fmt: skip
    metrics = folder / "stopped" / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_text(), 400, "step")
    running = workers(cluster)
    assert any(process.cmdline()[0].startswith("VLLM::EngineCore") for process in running)

    stopped = call(cluster, "stop", "ended")
    assert (stopped.returncode, stopped.stdout) == (0, "job ended STOPPED\n"), stopped.stderr
    assert call(cluster, "status", "ended").returncode == 1
    assert psutil.wait_procs(running, timeout=60)[1] == []
    assert json.loads((folder / "stopped" / "run.json").read_text())["state"] == "interrupted"


def test_a_folder_that_is_not_there_is_refused_before_the_recipe_starts(cluster):
    refused = call(cluster, "submit", "--folder=/not/there", "--", "recipes/prepare.py", *SMALL)
    assert refused.returncode == 1
    assert "error: /not/there cannot be written where the recipe runs" in refused.stdout


def test_without_the_token_nobody_gets_in(cluster):
    env = {name: value for name, value in cluster.env.items() if not name.startswith("RAY_AUTH")}
    result = subprocess.run(command("list"), cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert "requires its token" in result.stderr
