"""Faults of an ordinary day: any process of a training may die, and the training must leave nothing behind.

Each test is a real training of the tiny policy with verl, Ray, vLLM and FSDP. It lists processes, shared memory, ports
and temporary files before and after.
"""

import json
import math
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from namespaces import on_tmpfs
from repository import ROOT

from vrft_aug.engine.run.metrics_file import read_steps
from vrft_aug.engine.run.reaper import SHARED_MEMORY, lives, relatives, shared_memory

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

SMALL = ["dataset.loader.train=64", "dataset.loader.val=16", "dataset.loader.test=16"]
SETTINGS = ["schedule.batch_size=8", "schedule.mini_batch_size=8", "trainer.save_freq=20",
            "trainer.test_freq=-1", "trainer.val_before_train=false"]  # fmt: skip
CANARY = "a-key-that-no-file-may-hold"
TITLES = {  # title of the process that is killed -> its name in the message
    "VLLM::EngineCore": "the rollout engine",
    "ray::PromptOnceServer": "the rollout engine's server",
    "ray::WorkerDict": "the FSDP worker",
    "ray::RewardLoopWorker": "the reward worker",
    "ray::PromptOnceWorker": "the agent loop",
    "ray::SimpleStorageUnit": "the data queue's storage",
    "ray::TaskRunner": "the trainer",
    "raylet": "the Ray node manager",
    "gcs_server": "the Ray control service",
}


class Training:
    """One training in `out`, with all processes that it has started."""

    def __init__(self, rows: Path, out: Path, *overrides: str, inside: tuple[str, ...] = ()):
        self.out = out
        command = [sys.executable, "recipes/grpo.py", f"parquet={rows}", f"out={out}", *SETTINGS, *overrides]
        self.process = subprocess.Popen(
            [*inside, *command], cwd=ROOT, env=os.environ | {"WANDB_API_KEY": CANARY},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.family = {psutil.Process(self.process.pid)}
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        for thread in (self._reader, threading.Thread(target=self._follow, daemon=True)):
            thread.start()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def _follow(self) -> None:
        while self.process.poll() is None:
            self.family |= relatives(self.family)
            time.sleep(1)

    def until(self, condition: Callable[[], object], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.2)

    def at_step(self, step: int) -> None:
        """Wait until the line of this step is printed and the next step has begun."""
        self.until(lambda: any(f"step {step}/" in line for line in self.lines))
        time.sleep(0.5)

    def titled(self, title: str) -> list[psutil.Process]:
        return [process for process in self.family.copy() if lives(process) and process.name().startswith(title)]

    def end(self, seconds: float = 60) -> int:
        """Wait until the process (`seconds` at most) and its reaper have ended, and return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(15)
        assert not self._reader.is_alive()
        return code

    @property
    def said(self) -> str:
        return "".join(line for line in self.lines if line.startswith("error:"))

    @property
    def record(self) -> dict:
        return json.loads((self.out / "run.json").read_text())

    def steps(self) -> list[int]:
        return [json.loads(line)["step"] for line in (self.out / "metrics.jsonl").read_text().splitlines()]

    def newest_checkpoint(self) -> int:
        return int((self.out / "checkpoints" / "latest_checkpointed_iteration.txt").read_text())


def listing(folder: Path) -> dict[Path, set[Path]]:
    """The files in a training's temporary folder, the segments in shared memory, and verl's sockets."""
    return {
        folder: set(folder.iterdir()),
        SHARED_MEMORY: set(SHARED_MEMORY.iterdir()),
        Path("/tmp"): set(Path("/tmp").glob("rl-colocate-zmq-*")),
    }


def listening(family: set[psutil.Process]) -> set[tuple[str, str, int]]:
    """(title, address, port) of each port on which a family of processes listens."""
    ports = set()
    for process in filter(lives, family):
        connections = process.net_connections(kind="inet")
        ports |= {(process.name(), *c.laddr) for c in connections if c.status == psutil.CONN_LISTEN}
    return ports


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rows")
    subprocess.run([sys.executable, "recipes/prepare.py", *SMALL, f"out={out}"], cwd=ROOT, check=True, timeout=300)
    return out


@pytest.fixture
def train(rows, tmp_path, monkeypatch):
    """Start trainings. At the end of the test, they must have left nothing."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # a short name, because it holds Unix sockets
    monkeypatch.setenv("TMPDIR", str(folder))
    trainings, before = [], listing(folder)

    def start(*overrides: str, out: str = "out", **options) -> Training:
        trainings.append(Training(rows, tmp_path / out, *overrides, **options))
        return trainings[-1]

    yield start
    for training in trainings:
        training.process.kill()
        training.end()
        assert [process for process in training.family if lives(process)] == []
    new = {place: found - before[place] for place, found in listing(folder).items()}
    new[SHARED_MEMORY] -= set().union(*map(shared_memory, psutil.process_iter()))  # of other programs that run now
    new[SHARED_MEMORY] -= {path for pid in psutil.pids() for path in SHARED_MEMORY.glob(f"sem.loky-{pid}-*")}
    assert not any(new.values()), new
    folder.rmdir()


@pytest.mark.parametrize("title", TITLES)
def test_a_process_that_dies_ends_the_run_with_its_name(train, title):
    training = train()
    training.at_step(2)
    victim = training.titled(title)[0]
    victim.kill()
    assert training.end() == 1
    assert training.said.startswith(f"error: grpo failed: {TITLES[title]} (process {victim.pid}) died")
    assert training.said.count("\n") == 1
    assert training.record["state"] == "failed" and training.record["why"].endswith("died")


def test_the_driver_is_killed(train):
    """Also checks where the servers listen, and that a key in the environment is written to no file."""
    before = psutil.pids()
    training = train()
    training.at_step(2)
    ports = listening(training.family)
    outside = [(title, port) for title, address, port in ports if address.removeprefix("::ffff:") != "127.0.0.1"]
    assert len(ports) > 10 and sorted(title[:12] for title, _ in outside) == ["VLLM::Engine", "ray::WorkerD"], ports
    training.process.kill()
    assert training.end() == -9
    assert "its process was killed" in training.said and training.said.count("\n") == 1
    assert training.record["state"] == "failed" and "killed" in training.record["why"]
    now = [c for c in psutil.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN and c.pid not in before]
    assert not {c.laddr.port for c in now} & {port for *_, port in ports}
    assert not [path for path in training.out.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


def test_the_driver_is_killed_while_vllm_loads(train):
    training = train()
    training.until(lambda: training.titled("VLLM::EngineCore"))
    training.process.kill()
    assert training.end() == -9 and training.record["state"] == "failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_with_a_checkpoint(train, number):
    training = train()
    training.at_step(2)
    training.process.send_signal(number)
    assert training.end() == 130
    assert training.said == "error: interrupted\n" and training.record["state"] == "interrupted"
    done = training.steps()
    assert training.newest_checkpoint() == done[-1] >= 3
    resumed = train(f"trainer.total_training_steps={done[-1] + 1}")
    assert resumed.end(300) == 0, resumed.lines
    assert resumed.steps() == [*done, done[-1] + 1] and resumed.record["state"] == "finished"


def test_a_second_signal_stops_at_once(train):
    training = train("trainer.save_freq=1")
    training.at_step(2)
    training.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    training.process.send_signal(signal.SIGINT)
    assert training.end() == 130
    assert training.record["state"] == "interrupted" and training.newest_checkpoint() == 2


def test_a_loss_that_is_no_number(train):
    training = train("actor_rollout_ref.actor.kl_loss_coef=nan")
    assert training.end(300) == 1
    assert "is nan at step 1" in training.said and training.said.count("\n") == 1
    (file,) = (training.out / "non_finite").iterdir()
    batch = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(batch) == 64 and {"input", "output", "gts", "score"} <= batch[0].keys()
    assert all(math.isfinite(sample["score"]) for sample in batch)


def test_two_runs_at_once(train):
    """If the runs mixed their weights, the policy would not agree with the answers of its rollout engine."""
    if psutil.virtual_memory().available < 12 * 2**30:
        pytest.skip("two trainings at once need 12 GiB of free memory")
    both = [
        train("trainer.total_training_steps=3", "hardware.reuse_log_probs=false", f"seed={seed}", out=f"out{seed}")
        for seed in (0, 1)
    ]
    for training in both:
        assert training.end(900) == 0, training.lines
        for line in (training.out / "metrics.jsonl").read_text().splitlines():
            assert json.loads(line)["data"]["training/rollout_probs_diff_max"] < 1e-3


def test_killed_three_times_it_takes_the_batches_of_a_run_that_was_not(train, tmp_path):
    """Equal: the prompts of each step with their ground truth, the order of the steps, the learning rate, and the
    number of metrics records (one per step). Not equal: samples, rewards and losses, because vLLM draws all samples
    from one stream, in the order in which requests happen to be batched."""
    steps, moments = 10, [random.uniform(5, 60) for _ in range(3)]

    def start(out: str) -> Training:
        samples = f"trainer.rollout_data_dir={tmp_path / out}-samples"
        return train(samples, f"trainer.total_training_steps={steps}", "trainer.save_freq=1", out=out)

    assert start("whole").end(600) == 0
    for moment in moments:
        killed = start("killed")
        with suppress(subprocess.TimeoutExpired):
            killed.process.wait(moment)
        killed.process.kill()
        killed.end()
    last = start("killed")
    assert last.end(600) == 0, (moments, last.lines)
    whole, resumed = (read_steps(tmp_path / out / "metrics.jsonl") for out in ("whole", "killed"))
    assert sorted(whole) == sorted(resumed) == list(range(1, steps + 1)), moments
    for step in whole:
        assert resumed[step]["actor/lr"] == whole[step]["actor/lr"]
        one, two = (questions(tmp_path / f"{out}-samples" / f"{step}.jsonl") for out in ("whole", "killed"))
        assert one == two and sum(one.values()) == 64, (moments, step)


def questions(file: Path) -> Counter:
    """How often each prompt, with its ground truth, was sampled in a step."""
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    return Counter((sample["input"], str(sample["gts"])) for sample in samples)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(train):
    training = train("trainer.save_freq=1", "trainer.total_training_steps=2")
    assert training.end(300) == 0, training.lines
    file = training.out / "checkpoints" / "global_step_2" / "actor" / "model_world_size_1_rank_0.pt"
    file.write_bytes(file.read_bytes()[:-1000])
    resumed = train("trainer.save_freq=1", "trainer.total_training_steps=3")
    assert resumed.end(300) == 0, resumed.lines
    told = [line for line in resumed.lines if "checkpoint of step 2 is not whole" in line]
    assert len(told) == 1 and file.name in told[0] and "resuming from step 1" in told[0]
    assert resumed.steps() == [1, 2, 3] and resumed.newest_checkpoint() == 3


def test_a_full_disk_keeps_the_last_checkpoint(train, tmp_path):
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    save = f'"$@"; code=$?; cp -r {shlex.quote(str(disk / "out"))} {shlex.quote(str(kept))}; exit $code'
    training = train("trainer.save_freq=1", out="disk/out", inside=(*on_tmpfs(disk, 80), "sh", "-c", save, "sh"))
    training.at_step(1)
    with suppress(OSError), Path(f"/proc/{training.process.pid}/root{disk}/filler").open("wb") as filler:
        while filler.write(bytes(2**20)):
            filler.flush()
    assert training.end(300) == 1
    assert "error: grpo failed: no space left on the disk of" in training.said and training.said.count("\n") == 1
    training.out = kept
    assert training.record["state"] == "failed"
    assert training.newest_checkpoint() == training.steps()[-1] >= 1
    assert zipfile.is_zipfile(kept / "checkpoints" / f"global_step_{training.newest_checkpoint()}" / "data.pt")
