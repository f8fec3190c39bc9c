"""A run's folder: what run.json says, and what ends with the run (lock, processes, shared memory, temporary files)."""

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from namespaces import on_tmpfs
from omegaconf import OmegaConf
from repository import ROOT

from vrft_aug.engine.run.preflight import check_no_secret
from vrft_aug.engine.run.reaper import lives
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.errors import InputError

RUN = """
import subprocess, sys, tempfile, time
from omegaconf import OmegaConf
from vrft_aug.engine.run.run_folder import Run
from vrft_aug.cli import one_line_errors
from vrft_aug.errors import InputError
with one_line_errors(), Run(OmegaConf.create({"out": sys.argv[1], "seed": int(sys.argv[2])}), "grpo") as run:
    exec(sys.argv[3])
"""
ORPHAN = f"""
started = subprocess.Popen([sys.executable, {str(ROOT / "tests/toys/toy_orphan.py")!r}], stdout=subprocess.PIPE)
pid, segment = started.stdout.readline().split()
run.record(orphan=int(pid), segment=segment.decode(), scratch=tempfile.gettempdir())
time.sleep(5)
"""


def start(folder: Path, body: str = "pass", seed: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-c", RUN, str(folder), str(seed), body]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # `nohup make test` would ignore it
    )  # fmt: skip


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and lives(psutil.Process(pid))


def until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.1)


def recorded(folder: Path, key: str) -> bool:
    return (folder / "run.json").is_file() and key in record(folder)


@pytest.mark.parametrize("ending", ["itself", signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_a_run(tmp_path, ending):
    process = start(tmp_path, ORPHAN + ("" if ending == "itself" else "time.sleep(600)"))
    until(lambda: recorded(tmp_path, "orphan"))
    facts = record(tmp_path)
    segment, scratch = Path("/dev/shm", facts["segment"]), Path(facts["scratch"])
    assert runs(facts["orphan"]) and segment.exists() and scratch.name.startswith("vrft-")
    time.sleep(3)  # the reaper looks for processes about twice per second
    if ending != "itself":
        process.send_signal(ending)
    output, _ = process.communicate(timeout=60)  # the reaper keeps the terminal open until it is done
    assert not runs(facts["orphan"]) and not segment.exists() and not scratch.exists()
    state, why = record(tmp_path)["state"], record(tmp_path).get("why", "")
    if ending == "itself":
        assert (process.returncode, state, output) == (0, "finished", "")
    elif ending == signal.SIGKILL:
        assert process.returncode == -9 and state == "failed" and "killed" in why
        assert output.startswith("error: grpo failed: its process was killed") and output.count("\n") == 1
    else:
        assert (process.returncode, state, output) == (130, "interrupted", "error: interrupted\n")


def test_two_runs_do_not_share_a_folder(tmp_path):
    first = start(tmp_path, "run.record(here=1); time.sleep(600)")
    until(lambda: recorded(tmp_path, "here"))
    second = start(tmp_path, seed=1)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 2 and f"out={tmp_path} is in use by another run" in output
    assert record(tmp_path)["pid"] == first.pid and "seed: 0" in (tmp_path / "config.yaml").read_text()
    first.kill()
    first.communicate(timeout=60)
    third = start(tmp_path)
    assert (third.communicate(timeout=60)[0], third.returncode) == ("", 0)


def test_bad_input_leaves_an_earlier_run_as_it_was(tmp_path):
    start(tmp_path).communicate(timeout=60)
    before = record(tmp_path)
    refused = start(tmp_path, "raise InputError('no such thing')", seed=1)
    assert "error: no such thing" in refused.communicate(timeout=60)[0] and refused.returncode == 2
    assert record(tmp_path) == before and "seed: 0" in (tmp_path / "config.yaml").read_text()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED = "print('by a library', flush=True); raise InputError('no such thing')"


def test_bad_input_leaves_nothing_of_a_new_folder(tmp_path):
    refused = start(tmp_path / "runs" / "new", REFUSED)
    assert refused.communicate(timeout=60)[0] == "error: no such thing\n" and refused.returncode == 2
    assert not list(tmp_path.iterdir())


def test_bad_input_leaves_a_folder_without_a_run_as_it_was(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "train.parquet").write_text("mine")
    (tmp_path / "log.txt").write_text("an old log\n")
    before = files(tmp_path)
    assert start(tmp_path, REFUSED).wait(60) == 2
    assert files(tmp_path) == before


def test_bad_input_leaves_every_file_of_an_earlier_run(tmp_path):
    start(tmp_path, "print('first', flush=True)").communicate(timeout=60)
    before = files(tmp_path)
    assert start(tmp_path, REFUSED, seed=1).wait(60) == 2
    assert files(tmp_path) == before and before["log.txt"] == b"first\n"


def test_bad_input_that_comes_late_keeps_what_the_run_has_made(tmp_path):
    work = "(run.folder / 'checkpoints').mkdir(); " + REFUSED
    assert start(tmp_path / "new", work).wait(60) == 2
    assert (tmp_path / "new" / "checkpoints").is_dir()
    assert (record(tmp_path / "new")["state"], record(tmp_path / "new")["why"]) == ("failed", "no such thing")


def test_a_run_that_lets_the_earlier_one_stand_changes_nothing(tmp_path):
    start(tmp_path).communicate(timeout=60)
    before = files(tmp_path)
    again = start(tmp_path, "assert run.earlier['state'] == 'finished'; run.stand('nothing to do')", seed=1)
    assert again.communicate(timeout=60)[0].endswith("nothing to do\n") and again.returncode == 0
    assert files(tmp_path) == before


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"recipe": "evaluate", "state": "finished"}')
    refused = start(tmp_path)
    line = f"error: out={tmp_path} holds a run of recipes/evaluate.py: choose another out\n"
    assert (refused.communicate(timeout=60)[0], refused.returncode) == (line, 2)
    assert record(tmp_path)["recipe"] == "evaluate"


def test_an_error_is_one_line_with_the_log(tmp_path):
    process, why = start(tmp_path, "print('said by a library'); 1 / 0"), "ZeroDivisionError: division by zero"
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, f"error: grpo failed: {why} (log: {tmp_path / 'log.txt'})\n")
    assert "said by a library" in (tmp_path / "log.txt").read_text()
    assert (record(tmp_path)["state"], record(tmp_path)["why"]) == ("failed", why)


def test_a_full_disk(tmp_path):
    """run.json says so, and so does the message."""
    fill = "(run.folder / 'big').write_bytes(bytes(2 * 2**20))"
    run = shlex.join([sys.executable, "-c", RUN, str(tmp_path), "0", fill])
    inside = on_tmpfs(tmp_path, 1)
    done = subprocess.run(
        [*inside, "sh", "-c", f"{run}; echo $?; cat {tmp_path}/run.json"], cwd=ROOT, capture_output=True, text=True
    )
    code, _, account = done.stdout.partition("\n")
    assert code == "1" and f"no space left on the disk of {tmp_path}" in done.stderr, done.stdout + done.stderr
    assert json.loads(account)["state"] == "failed" and "no space" in json.loads(account)["why"]


SECRETS = ["api_key", "apiKey", "WANDB_API_KEY", "HF_TOKEN", "token", "password", "client_secret", "accessToken"]
PLAIN = ["max_tokens", "image_key", "policy_key", "reward_fn_key", "api_key_env", "pad_token", "tokenizer", "secretary"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_refused_and_not_repeated(tmp_path, name):
    config = {"out": str(tmp_path / "out"), "ray": {"env": [{name: "hunter2"}]}}
    with pytest.raises(InputError, match=rf"^ray\.env\.0\.{name} looks like a secret.*environment") as refused:
        Run(OmegaConf.create(config), "grpo").__enter__()
    assert "hunter2" not in str(refused.value) and not (tmp_path / "out").exists()


def test_what_is_no_secret_passes():
    check_no_secret(OmegaConf.create({name: "hunter2" for name in PLAIN} | {"api_key": None, "token": 7}))
    with pytest.raises(InputError, match=r"^endpoint\.url looks like a secret"):
        check_no_secret(OmegaConf.create({"endpoint": {"url": "https://me:hunter2@host/v1"}}))
