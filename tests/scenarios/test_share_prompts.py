"""Checks that hardware.share_prompts chooses between our rollout workers and servers and verl's own."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

SMALL = ["dataset=phantom", "dataset.loader.train=16", "dataset.loader.val=8", "dataset.loader.test=8"]
STEPS = ["schedule.batch_size=8", "schedule.mini_batch_size=8", "trainer.total_training_steps=2",
         "trainer.save_freq=2", "trainer.test_freq=2"]  # fmt: skip


def recipe(name: str, *overrides: str, log: Path) -> set[str]:
    """Run a recipe to its end; returns the command lines that its processes had, seen once per half second."""
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *SMALL, *overrides]
    seen: set[str] = set()
    with log.open("w") as output:
        process = psutil.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            for child in process.children(recursive=True):
                try:
                    seen.add(" ".join(child.cmdline()))
                except psutil.Error:
                    continue  # it has just ended
            time.sleep(0.5)
    assert process.returncode == 0, log.read_text()
    return seen


OURS, VERLS = ("ray::PromptOnceWorker", "ray::PromptOnceServer"), ("ray::AgentLoopWorkerTQ", "ray::vLLMHttpServer")


@pytest.mark.slow
@pytest.mark.parametrize(("share", "expected", "others"), [("false", VERLS, OURS), ("true", OURS, VERLS)])
def test_the_switch_chooses_the_classes(tmp_path, share, expected, others):
    recipe("prepare", f"out={tmp_path / 'rows'}", log=tmp_path / "prepare.txt")
    switch = [f"hardware.share_prompts={share}", f"parquet={tmp_path / 'rows'}", f"out={tmp_path / 'run'}"]
    seen = recipe("grpo", *STEPS, *switch, log=tmp_path / "grpo.txt")
    for title in expected:
        assert any(one.startswith(title) for one in seen), seen
    assert not [one for one in seen if one.startswith(others)]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    records = {record["step"]: record["data"] for record in map(json.loads, lines)}
    assert {1, 2} <= records.keys() and "reward/classification/score" in records[2]
