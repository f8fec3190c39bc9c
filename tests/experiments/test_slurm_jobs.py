"""Runs cells as Slurm jobs, with stand-ins for sbatch, squeue and sacct."""

import subprocess
import sys
from pathlib import Path

import pytest
import slurm_programs
from local_jobs import cell, stage, times, write_toy
from repository import ROOT

from vrft_aug.errors import InputError, RunFailed
from vrft_aug.experiments import slurm_jobs
from vrft_aug.experiments.follow import Follower
from vrft_aug.experiments.job_folder import JobFolder
from vrft_aug.experiments.launcher import State
from vrft_aug.experiments.slurm_jobs import SlurmJobs
from vrft_aug.experiments.stages import Stage

MAKE_FOLDER = """
import pathlib, sys
out = pathlib.Path(next(one for one in sys.argv if one.startswith("out="))[4:])
out.mkdir(parents=True); (out / "command").write_text(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """The folder of the stand-ins, in a checkout with the toy recipe."""
    write_toy(tmp_path)
    for name, value in slurm_programs.install(tmp_path / "slurm").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slurm_jobs, "ROOT", tmp_path)
    monkeypatch.setattr(SlurmJobs, "pause", 0.02)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "slurm"


def launcher(nodes: int = 2, devices: int = 8, options: str = "") -> SlurmJobs:
    made = SlurmJobs.found(nodes, devices, options)
    made.pause = 0.02
    return made


def run(work, root: Path) -> list[str]:
    return Follower(launcher(), JobFolder(root / "jobs"), 2, lambda _: None).run(work)


def test_cells_run_as_jobs_and_a_failed_one_is_named(slurm, tmp_path):
    rows, bad = stage(tmp_path, "rows"), stage(tmp_path, "bad", status=3)
    work = [(cell("a"), [rows, stage(tmp_path, "a", rows)]), (cell("b"), [rows, bad])]
    (failed,) = run(work, tmp_path)
    assert failed.startswith("tiny/toy-all/b: bad failed: job 10") and "jobs/" in failed
    assert times(tmp_path, "rows", "a", "bad") == [1, 1, 1]
    assert len(run(work, tmp_path)) == 1
    assert times(tmp_path, "rows", "a", "bad") == [1, 1, 2]


def sent(slurm: Path) -> list[str]:
    return slurm_programs.calls(slurm, "sbatch")[-1]


def test_a_job_runs_the_stages_command_on_the_nodes_that_it_can_use(slurm, tmp_path):
    options, gpus = "--partition=gpu '--comment=two words'", "--gpus-per-node=8"
    for recipe, resources in (("grpo", ["--nodes=2", gpus]), ("sft", ["--nodes=1", gpus]),
                              ("evaluate", ["--nodes=1", gpus]), ("prepare", ["--nodes=1"])):  # fmt: skip
        one = Stage("train", recipe, ("shots=3", "trainer.logger=[file,wandb]"), tmp_path / "out")
        (tmp_path / "recipes" / f"{recipe}.py").touch()
        launcher(options=options).submit("the-name", one, tmp_path / "log.txt")
        assert sent(slurm) == [
            "--parsable", "--job-name=the-name", f"--output={tmp_path / 'log.txt'}", "--open-mode=append", *resources,
            "--partition=gpu", "--comment=two words", "launch/slurm.sbatch", f"recipes/{recipe}.py", *one.overrides,
        ]  # fmt: skip


def test_without_gpus_none_is_asked_for(slurm, tmp_path):
    launcher(1, 0).submit("x", Stage("test", "toy", (f"out={tmp_path / 'x'}",), tmp_path / "x"), tmp_path / "log.txt")
    assert not any(word.startswith("--gpus") for word in sent(slurm))


@pytest.mark.parametrize(("said", "state"), [
    ("COMPLETED", State.SUCCEEDED), ("CANCELLED by 1000", State.FAILED), ("CANCELLED+", State.FAILED),
    ("NODE_FAIL", State.FAILED), ("TIMEOUT", State.FAILED), ("OUT_OF_MEMORY", State.FAILED), ("PENDING", State.ACTIVE),
])  # fmt: skip
def test_what_sacct_says_is_understood(slurm, said, state):
    (slurm / "7.state").write_text(said)
    assert launcher().states(["7", "8"]) == {"7": state}  # nobody knows 8


def test_a_job_in_the_queue_is_active_and_sacct_is_not_asked(slurm):
    (slurm / "7.state").write_text("RUNNING")
    assert launcher().states(["7"]) == {"7": State.ACTIVE}
    assert slurm_programs.calls(slurm, "sacct") == []


def test_a_program_that_fails_is_named_with_its_reason(slurm):
    (slurm / "bin" / "squeue").write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact' >&2; exit 1\n")
    with pytest.raises(RunFailed, match="squeue failed: slurm_load_jobs error: Unable to contact"):
        launcher().states(["7"])


@pytest.mark.parametrize("program", slurm_programs.PROGRAMS)
def test_a_missing_program_is_named(slurm, monkeypatch, program):
    (slurm / "bin" / program).unlink()
    monkeypatch.setenv("PATH", str(slurm / "bin"))
    with pytest.raises(InputError, match=f"submit=slurm needs {program}, which is not on PATH"):
        launcher()


def test_another_folder_than_the_checkout_is_refused(slurm, tmp_path, monkeypatch):
    monkeypatch.chdir(slurm)
    with pytest.raises(InputError, match=f"start in the checkout: cd {tmp_path}"):
        launcher()


def test_a_table_is_sent_stage_by_stage_with_the_commands_that_it_would_run_here(tmp_path):
    """The recipe itself, in the real checkout. The stand-in for a job only makes the folder of its stage."""
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    env = slurm_programs.install(tmp_path / "slurm")
    (tmp_path / "slurm" / "job").write_text(MAKE_FOLDER)
    rows = "table.rows=[{experiment: zero_shot},{experiment: v_sft}]"
    table = ["policy=tiny", rows, "table.shots=[4]", f"out={tmp_path / 'runs'}"]

    def call(*more: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "recipes/experiments.py", *table, *more]
        return subprocess.run(command, cwd=ROOT, env=env | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                              timeout=300)  # fmt: skip

    done = call("submit=slurm", "jobs=2", "sbatch='--partition=gpu --time=1:00:00'")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = call("plan=commands").stdout.splitlines()
    planned = [line.partition(" python ")[2] for line in lines if " python " in line]
    jobs = slurm_programs.calls(tmp_path / "slurm", "sbatch")
    commands = [" ".join(words[words.index("launch/slurm.sbatch") + 1 :]) for words in jobs]
    assert len(jobs) == 4 and sorted(commands) == sorted(dict.fromkeys(planned))
    assert all("--partition=gpu" in words and "--time=1:00:00" in words for words in jobs)
    again = call("submit=slurm")
    assert again.returncode == 0 and "0 jobs to send" in again.stdout
    assert len(slurm_programs.calls(tmp_path / "slurm", "sbatch")) == 4
