"""V-SFT, V-RFT and evaluation on real images in their own sizes, with the pixel bounds of the large policies."""

import json
import subprocess
import sys

import pytest
from repository import ROOT

pytestmark = pytest.mark.slow

BOUNDS = ("policy.min_pixels=262144", "policy.max_pixels=1003520", "policy.max_prompt_length=2048",
          "policy.max_length=3072")  # fmt: skip
SHORT = ("schedule.steps=2", "schedule.batch_size=4", "schedule.mini_batch_size=4", "schedule.save_freq=2",
         "schedule.test_freq=2")  # fmt: skip


def recipe(name: str, *overrides: str) -> None:
    done = subprocess.run([sys.executable, f"recipes/{name}.py", *overrides], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]


@pytest.mark.parametrize(("data", "images"), [
    (("dataset=covid19", "dataset.loader.exclude=[]"), 28),
    (("dataset=ham10000", "prompt=localize", "objective=iou"), 42),
], ids=["covid19", "ham10000-boxes"])  # fmt: skip
def test_every_stage_runs_on_real_images(shared_data, tmp_path, data, images):
    rows, test = tmp_path / "rows", tmp_path / "test"
    shared = (*data, "partial=true", f"data_root={shared_data}")
    recipe("prepare", *shared, *BOUNDS, f"out={rows}")
    manifest = json.loads((rows / "manifest.json").read_text())
    assert sum(split["rows"] for split in manifest["splits"].values()) == images
    assert manifest["image_tokens"]["most"] <= 1280
    recipe("sft", *shared, *BOUNDS, *SHORT, f"parquet={rows}", f"out={tmp_path / 'sft'}")
    trained = (*shared, f"parquet={rows}", f"policy.path={tmp_path / 'sft'}")  # its bounds come from its own files
    recipe("grpo", *trained, *SHORT, f"out={tmp_path / 'grpo'}", "policy.max_response_length=48")
    recipe("evaluate", *shared, f"parquet={rows}", f"policy.path={tmp_path / 'grpo'}", f"out={test}",
           "sampling.n=2", "sampling.temperature=0.9")
    metrics = next(iter(json.loads((test / "metrics.json").read_text()).values()))
    assert metrics["n"] == manifest["splits"]["test"]["rows"]
    record = json.loads((test / "run.json").read_text())
    assert record["policy_name"] == "tiny"
    assert record["labels"] == manifest["labels"], "the labels of the training that made the policy"
