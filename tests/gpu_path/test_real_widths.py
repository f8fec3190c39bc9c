"""Takes Qwen2.5-VL-3B's real widths through the pipeline on a CPU: prepare, one step of GRPO, evaluate.

Two layers of 36, random weights, but every width, 16 heads on 2 keys, tied embeddings, and 151,936 tokens: the size of
logits, buckets, checkpoints and the vocabulary's files is that of the real policy.
"""

import json
from pathlib import Path

import pandas as pd
import pytest
from without_gpu import environment, run

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.engine.run.preflight import GIB, free_memory
from vrft_aug.experiments.gpu_check.start import random_twin

pytestmark = pytest.mark.slow

NEEDED = 18  # GiB of free memory; weights, gradients, AdamW, reference and vLLM in bfloat16 need 9 of them
ROWS = ["dataset=phantom", "prompt=names", "dataset.loader.train=4", "dataset.loader.val=2", "dataset.loader.test=2"]
POLICY = ["policy=qwen2_5_vl_3b", "policy.min_pixels=12544", "policy.max_pixels=12544", "policy.max_prompt_length=512",
          "policy.max_response_length=8", "policy.max_length=520"]  # fmt: skip
BFLOAT16 = ["hardware.dtype=bfloat16", "hardware.master_dtype=bfloat16", "hardware.reference.dtype=bfloat16",
            "hardware.reuse_log_probs=false", "hardware.min_free_gigabytes=1",
            "hardware.weight_bucket_megabytes=640"]  # fmt: skip  (the embedding takes 594 MiB)
STEP = ["schedule.batch_size=2", "schedule.mini_batch_size=2", "actor_rollout_ref.rollout.n=2",
        "schedule.learning_rate=1e-3", "trainer.total_training_steps=1", "trainer.save_freq=1", "trainer.test_freq=-1",
        "trainer.val_before_train=false"]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """The folder of one run of each recipe: rows, trained, evaluated."""
    if free_memory() < NEEDED * GIB:
        pytest.skip(f"needs {NEEDED} GiB of free memory, {free_memory() / GIB:.0f} are free")
    folder = tmp_path_factory.mktemp("real_widths")
    policy = [*POLICY, f"policy.path={random_twin('qwen2_5_vl_3b', folder / 'start', layers=2)}"]
    run("recipes/prepare.py", *ROWS, *policy, f"out={folder / 'rows'}", env=environment())
    rows = f"parquet={folder / 'rows'}"
    run("recipes/grpo.py", *ROWS, *policy, *BFLOAT16, *STEP, rows, f"out={folder / 'trained'}", env=environment(),
        timeout=3600)  # fmt: skip
    trained = [*POLICY, f"policy.path={folder / 'trained' / 'policy'}", "conditions=[]", "opponents=[]"]
    run("recipes/evaluate.py", *ROWS, *trained, *BFLOAT16, rows, f"out={folder / 'evaluated'}", env=environment(),
        timeout=3600)  # fmt: skip
    return folder


def test_the_widths_are_those_of_the_3b_policy(runs):
    config = json.loads((runs / "trained" / "policy" / "config.json").read_text())["text_config"]
    assert (config["hidden_size"], config["intermediate_size"], config["vocab_size"]) == (2048, 11008, 151936)
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["num_hidden_layers"]) == (16, 2, 2)


def test_a_step_of_grpo_computes(runs):
    lines = (runs / "trained" / "metrics.jsonl").read_text().splitlines()
    metrics = json.loads(lines[-1])["data"]
    assert metrics["actor/grad_norm"] >= 0 and metrics["response_length/mean"] == 8
    assert metrics["actor/entropy"] > 5  # random weights hardly prefer any of 151,936 tokens (all alike: 11.9)
    assert metrics["training/rollout_probs_diff_max"] < 0.05


def test_the_trained_policy_is_tied_and_answers(runs):
    from safetensors import safe_open

    with safe_open(runs / "trained" / "policy" / "model.safetensors", "pt") as weights:
        assert "lm_head.weight" not in weights.keys()  # noqa: SIM118 (not a dict)
    predictions = pd.read_parquet(runs / "evaluated" / "predictions.parquet")
    assert len(predictions) == 2 and predictions["response"].str.len().gt(0).all()
