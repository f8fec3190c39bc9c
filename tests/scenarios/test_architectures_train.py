"""Takes each architecture of the tiny policy through the whole stack.

Prepare, two SFT steps, two GRPO steps, one more after a resumption; the exported policy in vLLM and in transformers. A
policy that is not in the package is built in the user's cache, where the next run of these tests finds it.
"""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate
from PIL import Image
from repository import ROOT, composed

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

pytestmark = pytest.mark.slow

CLASSES = {"tiny": "Qwen2_5_VLForConditionalGeneration", "tiny_qwen3_vl": "Qwen3VLForConditionalGeneration"}
SMALL = ["dataset.loader.train=64", "dataset.loader.val=16", "dataset.loader.test=16", "prompt=knowledge"]
BATCH = ["schedule.batch_size=8", "schedule.mini_batch_size=8"]
SAVED = ["trainer.save_freq=1", "trainer.test_freq=2", "trainer.val_before_train=false", "keep=last"]


@pytest.fixture(scope="module", params=CLASSES)
def trained(request, tmp_path_factory) -> tuple[str, Path]:
    """The policy's name, and the folder of its rows and runs: SFT, then GRPO from there, resumed once."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    rows = f"parquet={folder / 'rows'}"
    recipe("prepare", name, f"out={folder / 'rows'}")
    sft = ["trainer.total_training_steps=2", "trainer.save_freq=2", "trainer.test_freq=2", "schedule.batch_size=8"]
    recipe("sft", name, rows, *sft, f"out={folder / 'sft'}")
    grpo = [rows, *BATCH, *SAVED, f"policy.path={folder / 'sft'}", "hardware.reuse_log_probs=false",
            f"out={folder / 'grpo'}"]  # fmt: skip
    for steps in (2, 3):  # the second is a process of its own, which resumes
        recipe("grpo", name, *grpo, f"trainer.total_training_steps={steps}")
    recipe("evaluate", name, rows, f"policy.path={folder / 'grpo'}", "conditions=[]", f"out={folder / 'test'}")
    return name, folder


def recipe(name: str, policy: str, *overrides: str) -> None:
    command = [sys.executable, str(ROOT / "recipes" / f"{name}.py"), *SMALL, f"policy={policy}", *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2400)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def steps(folder: Path) -> dict[int, dict[str, float]]:
    records: dict[int, dict[str, float]] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        records.setdefault(record["step"], {}).update(record["data"])
    return records


def test_rollout_and_actor_agree_at_every_step(trained):
    _, folder = trained
    found = {step: metrics for step, metrics in steps(folder / "grpo").items() if "critic/score/mean" in metrics}
    assert sorted(found) == [1, 2, 3], "the resumed training began anew"
    for metrics in found.values():
        assert metrics["training/rollout_probs_diff_max"] < 1e-3
        assert metrics["rollout_corr/log_ppl_diff_max"] < 1e-3
    assert any(metrics["actor/grad_norm"] > 0 for metrics in found.values())  # a step may have equal groups alone


def test_supervised_training_starts_from_the_policy_and_moves_it(trained):
    from safetensors.torch import load_file

    name, folder = trained
    losses = [metrics["train/loss"] for step, metrics in sorted(steps(folder / "sft").items()) if step]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    start = Path(instantiate(composed("sft", f"policy={name}").policy.build))
    before, after = (load_file(one / "model.safetensors") for one in (start, folder / "grpo" / "policy"))
    assert before.keys() == after.keys()
    assert any((before[key].float() - after[key].float()).abs().max() > 0 for key in before)


def test_vllm_and_transformers_give_the_exported_policys_answers(trained):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from vrft_aug.tiny.generating import generate

    name, folder = trained
    model = AutoModelForImageTextToText.from_pretrained(folder / "grpo" / "policy").float().eval()
    assert type(model).__name__ == CLASSES[name]
    processor = AutoProcessor.from_pretrained(folder / "grpo" / "policy")
    rows = pd.read_parquet(folder / "rows" / "test.parquet")
    prompts = [chat(processor, prompt[0]["content"]) for prompt in rows["prompt"]]
    images = [Image.open(io.BytesIO(images[0]["bytes"])).convert("RGB") for images in rows["images"]]
    answers = generate(model, processor, prompts, images)
    told = pd.read_parquet(folder / "test" / "predictions.parquet")["response"]
    assert np.mean([one == other for one, other in zip(answers, told, strict=True)]) >= 0.9


def chat(processor, content: str) -> str:
    """The prompt of a row in the policy's chat format."""
    parts = [{"type": "image"}, {"type": "text", "text": content.replace("<image>", "", 1)}]
    chat = [{"role": "user", "content": parts}]
    return processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)


def test_boxes_are_in_the_policys_frame(trained, tmp_path):
    name, _ = trained
    recipe("prepare", name, "dataset=phantom", "prompt=localize", f"out={tmp_path}")
    rows = pd.read_parquet(tmp_path / "train.parquet")
    frame = (1000, 1000) if composed("prepare", f"policy={name}").policy.box_frame == "thousand" else (112, 112)
    assert {tuple(info["frame_size"]) for info in rows["extra_info"]} == {frame}
