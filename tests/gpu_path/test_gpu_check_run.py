"""Runs `make gpu-check` on a CPU with a GPU's settings, and compares the documentation's page with what it writes.

So all of GRPO runs end to end without padding, with flash-attn's stand-in, gradient checkpointing and fused kernels;
vLLM, which knows none of these settings, and the actor must give each sampled token the same probability.
"""

import os
import re
import subprocess

import pytest
from repository import ROOT
from without_gpu import RECORD

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

pytestmark = pytest.mark.slow

QUESTION = re.compile(r"^\| (yes|–|\*\*no\*\*) \| ([^|]+) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the check's files; what the stand-in notes of its use is in `used` beside it."""
    root = tmp_path_factory.mktemp("gpu_check_run")
    (root / "used").mkdir()
    env = os.environ | {"OMP_NUM_THREADS": "1", RECORD: str(root / "used")}
    command = ["make", "gpu-check", "HARDWARE=cpu_stand_ins", f"RUNS={root}"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return root / "gpu_check"


def test_every_finding_is_as_the_documentation_shows_it(folder):
    found = dict(map(reversed, QUESTION.findall((folder / "gpu_check.md").read_text())))
    assert set(found.values()) == {"yes", "–"} and found["sleeping and waking return memory"] == "–"
    documented = (ROOT / "docs" / "gpu-check.md").read_text()
    assert dict(map(reversed, QUESTION.findall(documented))) == found
    assert all(f"| {question} |" in documented for question in found)


def test_the_settings_are_those_of_a_gpu(folder):
    from omegaconf import OmegaConf

    model = OmegaConf.load(folder / "grpo" / "config.yaml").actor_rollout_ref.model
    assert model.use_remove_padding and model.use_fused_kernels and model.enable_gradient_checkpointing
    assert model.override_config.attn_implementation == "flash_attention_2"
    assert (folder.parent / "used" / "flash_attn_varlen_func").exists(), "the workers have not used flash-attn"
