"""Wrong settings of `submit` end in one line and exit code 2, and no job is sent."""

import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf
from repository import ROOT

from vrft_aug.errors import InputError
from vrft_aug.experiments import submission

RIGHT = {"submit": None, "jobs": 1, "address": None, "sbatch": None}


@pytest.mark.parametrize(("wrong", "said"), [
    ({"submit": "foo"}, "submit=foo: must be one of null, ray, slurm"),
    ({"jobs": 0}, "jobs=0: must be a whole number from 1"),
    ({"submit": "ray", "jobs": 1.5}, "jobs=1.5: must be a whole number from 1"),
    ({"jobs": 4}, "jobs=4 has no effect here: add submit=ray or submit=slurm"),
    ({"jobs": True}, "jobs=True: must be a whole number from 1"),
    ({"address": "http://a:8265"}, "address=http://a:8265 has no effect with submit=null: add submit=ray"),
    ({"submit": "ray", "sbatch": "--time=1"}, "sbatch=--time=1 has no effect with submit=ray: add submit=slurm"),
])  # fmt: skip
def test_a_wrong_setting_is_refused(wrong, said):
    with pytest.raises(InputError) as error:
        submission.check(OmegaConf.create(RIGHT | wrong))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("right", [{}, {"submit": "ray", "address": "http://a:8265"}, {"submit": "slurm", "jobs": 9}])
def test_a_right_setting_is_not(right):
    submission.check(OmegaConf.create(RIGHT | right))


@pytest.mark.parametrize(("given", "said"), [
    (["submit=ray"], "error: submit=ray needs the address of the cluster's dashboard: address=http://127.0.0.1:8265"),
    (["submit=ray", "address=http://127.0.0.1:9"], "error: no Ray cluster answers at http://127.0.0.1:9 ("),
    (["submit=slurm"], "error: submit=slurm needs sbatch, which is not on PATH"),
    (["jobs=0"], "error: jobs=0: must be a whole number from 1"),
])  # fmt: skip
def test_the_recipe_says_so_in_one_line(given, said, tmp_path):
    pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SLURM_"))}
    command = [sys.executable, "recipes/experiments.py", "policy=tiny", f"out={tmp_path / 'runs'}", *given]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stderr.startswith(said) and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "runs").exists()
