"""Checks what launch/ray_job.py and check_nodes.py send to a cluster, and what they refuse before that."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from repository import ROOT

from vrft_aug.experiments import ray_jobs

pytest.importorskip("ray", reason="the training stack is not installed (make setup)")

SUBMIT = ["launch/ray_job.py", "submit", "--folder=/shared", "--", "recipes/grpo.py"]


@pytest.fixture(autouse=True)
def launch_importable(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "launch"), *sys.path])


@pytest.fixture
def ray_job():
    import ray_job

    return ray_job


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, env=clean | env, timeout=120
    )


def entrypoint_calls(ray_job, tmp_path: Path, recipe: str, *overrides: str, log: Path | None = None) -> list[str]:
    """What the job's shell command runs, and where; `python` is a stand-in that records it and says "ran"."""
    code, folder, calls = tmp_path / "code", tmp_path / "shared by all", tmp_path / "calls.txt"
    for made in (code, folder):
        made.mkdir()
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n(pwd; printf "%s\\n" "$@") >> "$CALLS"; echo ran\n')
    python.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls)}
    command = ray_job.entrypoint(folder, recipe, list(overrides), log)
    assert subprocess.run(command, shell=True, cwd=code, env=env).returncode == 0
    return calls.read_text().splitlines()


def test_a_job_checks_the_nodes_and_then_works_in_the_shared_folder(ray_job, tmp_path):
    code, folder = str(tmp_path / "code"), str(tmp_path / "shared by all")
    overrides = ["objective=mfrs,accuracy", "trainer.logger=[file,wandb]", "name='two words'"]
    assert entrypoint_calls(ray_job, tmp_path, "recipes/prepare.py", *overrides) == [
        code, f"{code}/launch/check_nodes.py", "--folder", folder,
        folder, f"{code}/recipes/prepare.py", *overrides,
    ]  # fmt: skip


def test_grpo_joins_the_cluster_unless_told_otherwise(ray_job, tmp_path):
    calls = entrypoint_calls(ray_job, tmp_path, "recipes/grpo.py", "hardware.ray.address=local")
    assert calls[-2:] == ["hardware.ray.address=auto", "hardware.ray.address=local"]  # Hydra: the last one wins


def test_the_output_of_a_job_goes_to_its_log_after_what_is_there(ray_job, tmp_path):
    log = tmp_path / "all logs" / "job.txt"
    log.parent.mkdir()
    log.write_text("earlier\n")
    assert len(entrypoint_calls(ray_job, tmp_path, "recipes/prepare.py", log=log)) == 6
    assert log.read_text() == "earlier\nran\nran\n"


def test_a_node_that_does_not_see_the_folder_of_the_log_refuses_the_job(ray_job, tmp_path):
    command = ray_job.entrypoint(tmp_path, "recipes/grpo.py", [], tmp_path / "it's not there" / "job.txt")
    refused = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr.startswith(f"error: {tmp_path}/it's not there, which the submitting machine has made, does")


@pytest.mark.filterwarnings("ignore:Possible nested set")  # of the file with brackets in its name
def test_the_code_is_uploaded_and_nothing_else(ray_job, tmp_path, monkeypatch):
    """Ray's own function packs the files here, as its client does for an upload."""
    from ray._private.ray_constants import get_runtime_env_default_excludes
    from ray._private.runtime_env.packaging import create_package

    toy = tmp_path / "toy"
    sent = {"conf/grpo.yaml", "launch/check_nodes.py", "recipes/grpo.py", "vrft_aug/data/retina.py"}
    kept = {".env", ".git/config", ".venv/bin/python", "data/retina.npz", "runs/a/policy/model.safetensors"}
    kept |= {"prepared/train.parquet", "outputs/x", "[odd]/x", "vrft_aug/__pycache__/a.pyc", "vrft_aug/data/runs/x"}
    for name in sent | kept:
        (toy / name).parent.mkdir(parents=True, exist_ok=True)
        (toy / name).write_text(name)
    (toy / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    monkeypatch.setattr(ray_jobs, "ROOT", toy)
    excludes = get_runtime_env_default_excludes() + ray_job.runtime_env([])["excludes"]
    create_package(str(toy), tmp_path / "package.zip", include_gitignore=True, excludes=excludes)
    assert set(zipfile.ZipFile(tmp_path / "package.zip").namelist()) == sent


def test_only_the_named_variables_are_sent(ray_job, monkeypatch):
    for name in ray_job.FORWARDED:
        monkeypatch.setenv(name, f"value of {name}")
    assert ray_job.runtime_env(["HF_HOME"])["env_vars"] == {
        "HF_HOME": "value of HF_HOME",
        "RAY_JOB_STOP_WAIT_TIME_S": str(ray_jobs.STOP_SECONDS),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--folder=runs"], "runs is relative"),
        (["--folder=/shared", "--env=WANDB_API_KEY"], "not set here"),
        (["--folder=/shared", "--env=AWS_SECRET_ACCESS_KEY"], "invalid choice"),
        ([], "--folder"),
    ],
)
def test_what_would_be_lost_or_leaked_is_refused_before_the_cluster_is_asked(
    ray_job, capsys, monkeypatch, arguments, said
):
    from vrft_aug.cli import one_line_errors

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(SystemExit, match="2"), one_line_errors():
        ray_job.main(["submit", *arguments, "--", "recipes/grpo.py"])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["recipes/nothing.py", "/tmp/evil.py", "recipes/../launch/check_nodes.py"])
def test_only_recipes_are_run(ray_job, recipe):
    from vrft_aug.errors import InputError

    with pytest.raises(InputError, match="is no recipe"):
        ray_job.entrypoint(Path("/shared"), recipe, [])


def test_without_a_cluster_one_line_says_so():
    from two_nodes import free_port

    result = run(*SUBMIT, RAY_API_SERVER_ADDRESS=f"http://127.0.0.1:{free_port()}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: no Ray cluster answers at http://127.0.0.1:")
    assert result.stderr.count("\n") == 1


def test_check_nodes_names_the_node_and_the_remedy():
    import check_nodes

    here = check_nodes.facts(["ray"], str(ROOT))
    assert check_nodes.complaints("n1", here, here, ROOT) == []
    assert not check_nodes.facts(["ray"], "/nowhere")["folder"]
    assert check_nodes.facts(["no-such-package"], str(ROOT))["versions"] == {"no-such-package": "missing"}
    there = {"versions": {"ray": "2.0"}, "plugin": False, "folder": False}
    no_package, version, folder = check_nodes.complaints("n1", there, here, ROOT)
    assert "n1: vrft-aug is not installed" in no_package
    assert f"ray 2.0, but {here['versions']['ray']}" in version
    assert f"does not see what is written to {ROOT}" in folder


def test_check_nodes_in_the_wrong_python_says_so():
    result = run("-S", "launch/check_nodes.py", "--folder=/shared")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and "activate the environment" in result.stderr
