"""LoRA on the real stack: verl trains the adapters, vLLM answers with them, and the exported policy contains them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from safetensors.torch import load_file

pytestmark = pytest.mark.slow

SMALL = ["dataset.loader.train=16", "dataset.loader.val=16", "dataset.loader.test=16"]
STEPS = ["trainer.total_training_steps=2", "trainer.save_freq=2", "trainer.test_freq=-1",
         "trainer.val_before_train=false", "schedule.batch_size=8", "schedule.mini_batch_size=8"]  # fmt: skip
# Random weights earn no reward. Only the entropy bonus moves the adapters here, far enough to be measured.
MOVED = ["actor_rollout_ref.actor.entropy_coeff=0.1", "schedule.learning_rate=1e-2"]


def recipe(name: str, *overrides: str) -> None:
    command = [sys.executable, f"recipes/{name}.py", *overrides]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a GRPO run of two steps with LoRA of rank 8."""
    folder = tmp_path_factory.mktemp("lora")
    recipe("prepare", *SMALL, f"out={folder / 'rows'}")
    compared = "hardware.reuse_log_probs=false"
    recipe(
        "grpo", f"parquet={folder / 'rows'}", *STEPS, *MOVED, "hardware.lora_rank=8", compared, f"out={folder / 'run'}"
    )
    return folder / "run"


def test_vllm_answers_with_the_adapters_that_verl_trained(trained):
    lines = (json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines())
    first, second = (line.get("data", line) for line in lines)
    assert first["actor/grad_norm"] > 0
    assert first["actor/kl_loss"] == 0  # the reference is the base, which the adapters do not change yet
    assert second["actor/kl_loss"] > 1e-3  # and now they do
    assert second["training/rollout_probs_diff_max"] < 1e-5


def test_the_adapters_are_in_the_policys_weights(trained):
    from transformers import AutoModelForImageTextToText

    start = Path(json.loads((trained / "run.json").read_text())["policy"])
    before, after = (load_file(folder / "model.safetensors") for folder in (start, trained / "policy"))
    changed = {name for name in after if not before[name].bfloat16().equal(after[name])}
    assert {name.split(".")[-2] for name in changed} == {"q_proj", "k_proj", "v_proj", "o_proj",
                                                         "gate_proj", "up_proj", "down_proj"}  # fmt: skip
    assert not [name for name in changed if "visual" in name]
    assert not (trained / "policy" / "lora_adapter").exists()
    assert str(AutoModelForImageTextToText.from_pretrained(trained / "policy").dtype) == "torch.bfloat16"
