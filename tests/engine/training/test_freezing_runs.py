"""Trainings with a frozen vision tower on the real stack: GRPO and SFT, each with all weights and with LoRA."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from safetensors.torch import load_file

from vrft_aug.engine.run.freezing import is_frozen

pytestmark = pytest.mark.slow

SMALL = [f"dataset.loader.{split}=16" for split in ("train", "val", "test")]
STEPS = ["trainer.total_training_steps=2", "trainer.save_freq=2", "trainer.test_freq=-1", "schedule.batch_size=8"]
MOVES = {  # far enough to be seen in bfloat16, whatever the rewards are
    "grpo": ["schedule.mini_batch_size=8", "trainer.val_before_train=false", "schedule.learning_rate=1e-2",
             "actor_rollout_ref.actor.entropy_coeff=0.1", "hardware.reuse_log_probs=false"],
    "sft": ["schedule.sft_learning_rate=1e-2"],
}  # fmt: skip
RUNS = [(recipe, rank) for recipe in MOVES for rank in (0, 8)]


def recipe(name: str, *overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, f"recipes/{name}.py", *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("freezing")
    done = recipe("prepare", *SMALL, f"out={folder / 'rows'}")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "rows"


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: f"{run[0]}-{run[1]}")
def trained(request, rows: Path) -> tuple[str, int, list[str], Path]:
    """Recipe, rank, overrides and folder of a run of two steps with freeze=vision."""
    name, rank = request.param
    out = rows.with_name(f"{name}-{rank}")
    given = [f"parquet={rows}", *STEPS, *MOVES[name], f"hardware.lora_rank={rank}", f"out={out}"]
    done = recipe(name, *given, "freeze=vision")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return name, rank, given, out


def test_the_exported_tower_is_that_of_the_start(trained):
    _, rank, _, out = trained
    start = Path(json.loads((out / "run.json").read_text())["policy"])
    before, after = (load_file(folder / "model.safetensors") for folder in (start, out / "policy"))
    changed = {name for name in after if not before[name].bfloat16().equal(after[name])}
    assert before.keys() == after.keys()
    assert changed and not [name for name in changed if is_frozen(name, "vision")]
    assert any(".merger." in name for name in changed) == (rank == 0)


def test_rollout_and_actor_agree_after_an_update(trained):
    """From the second step on, vLLM answers with weights of which it got the frozen ones at the first."""
    name, _, _, out = trained
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} >= {1, 2}
    if name == "grpo":
        (second,) = (line["data"] for line in lines if line["step"] == 2)
        assert second["training/rollout_probs_diff_max"] < 1e-4
        assert second["actor/kl_loss"] > 1e-3  # the first update moved the policy


def test_the_run_and_its_policy_say_what_was_frozen(trained):
    *_, out = trained
    assert json.loads((out / "run.json").read_text())["freeze"] == "vision"
    assert json.loads((out / "policy" / "vrft_aug.json").read_text())["trainings"][-1]["freeze"] == "vision"
    assert "| frozen while training | the vision tower without its mergers |" in (out / "policy/README.md").read_text()


def test_a_resumption_with_another_freeze_is_refused(trained):
    name, _, given, _ = trained
    done = recipe(name, *given, "freeze=none", "trainer.total_training_steps=3")
    assert done.returncode == 2
    error = done.stderr.splitlines()[-1]
    assert "holds a training with other settings" in error and "freeze: vision -> none" in error
