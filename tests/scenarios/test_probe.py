"""Before a training: `probe.py` alone prepares, asks and judges; then GRPO trains on the prompts of middle difficulty.

verl, Ray and vLLM run as they do for a user, with the tiny policy and a few phantoms.
"""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

FEW = ["dataset.loader.train=48", "dataset.loader.val=16", "dataset.loader.test=16"]
PROBE = [*FEW, "images=null", "sampling.n=8", "out=probe"]
TRAINING = [*FEW, "schedule.batch_size=8", "schedule.mini_batch_size=8", "trainer.save_freq=1", "trainer.test_freq=2",
            "difficulty.probe=probe", "out=grpo"]  # fmt: skip


def recipe(name: str, folder: Path, *overrides: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *overrides]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


def printed(name: str, folder: Path, *overrides: str) -> str:
    done = recipe(name, folder, *overrides)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which the probe has run once, with nothing else in it before."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "output.txt").write_text(printed("probe", folder, *PROBE))
    return folder


@pytest.mark.slow
def test_one_command_prepares_asks_and_judges(folder):
    said = (folder / "output.txt").read_text()
    found = json.loads((folder / "probe" / "probe.json").read_text())
    predictions = pd.read_parquet(folder / "probe" / "predictions.parquet")
    table = pd.read_parquet(folder / "probe" / "difficulty.parquet").set_index("source_id")
    assert "48 rows of 48" in said and said.splitlines()[-1].endswith(found["verdict"]["text"])
    assert (len(predictions), len(table), found["images"]) == (8 * 48, 48, 48)
    assert table["solved"].equals(predictions.groupby("source_id", sort=False)["acc"].mean().rename("solved"))
    equal = predictions.groupby("source_id", sort=False)["score"].nunique() == 1
    assert found["mixed"]["value"] == pytest.approx(1 - equal.mean())  # n = group: what was seen is what is expected
    again = printed("probe", folder, *PROBE)
    assert "nothing to do" in again and again.splitlines()[-1].endswith(found["verdict"]["text"])


@pytest.mark.slow
def test_grpo_trains_on_the_prompts_that_the_probe_chooses(folder):
    solved = pd.read_parquet(folder / "probe" / "difficulty.parquet").set_index("source_id")["solved"]
    wanted = sorted(solved[solved.between(0.05, 0.95)].index)
    assert 8 <= len(wanted) < 48
    for steps in (2, 3):  # the second time it resumes
        said = printed("grpo", folder, *TRAINING, f"trainer.total_training_steps={steps}")
        assert f"trains on {len(wanted)} of 48 prompts" in said
        rows = pd.read_parquet(folder / "grpo" / "rows" / "train.parquet")
        assert sorted(info["source_id"] for info in rows["extra_info"]) == wanted
    assert f"dataset len: {len(wanted)}\n" in (folder / "grpo" / "log.txt").read_text()  # as verl says it
    record = json.loads((folder / "grpo" / "run.json").read_text())
    assert (record["steps"], record["difficulty"]["chosen"]) == (3, len(wanted))


@pytest.mark.slow
def test_a_training_is_not_resumed_with_another_probe(folder):
    """Here a changed table stands for a probe that was made again; this runs after the training above."""
    table = folder / "probe" / "difficulty.parquet"
    content = table.read_bytes()
    pd.read_parquet(table).assign(solved=0.5).to_parquet(table)
    done = recipe("grpo", folder, *TRAINING, "trainer.total_training_steps=4")
    table.write_bytes(content)
    assert done.returncode == 2 and "is not the one by which the training began" in done.stderr, done.stderr
