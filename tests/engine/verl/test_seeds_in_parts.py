"""Draws samples with seeds where prompts are computed in parts: vLLM's own code ends there on a CPU."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="the training stack is not installed (make setup)")

DRAW = """
import sys
from vllm import LLM, SamplingParams
from vrft_aug.tiny.shipped import folder

llm = LLM(folder(), dtype="float32", max_model_len=256, max_num_seqs=8, max_num_batched_tokens=int(sys.argv[1]),
          kv_cache_memory_bytes=2**26, enforce_eager=True, enable_prefix_caching=False, skip_mm_profiling=True,
          limit_mm_per_prompt={"image": 0, "video": 0})
prompts = [f"two dark streaks {place} " * 12 for place in ("above", "below", "left")]
asked = [SamplingParams(temperature=1.0, max_tokens=12, ignore_eos=True, seed=seed) for seed in (1, 2, 3)]
for output in llm.generate(prompts, asked, use_tqdm=False):
    print("DRAWN", list(output.outputs[0].token_ids))
"""


def drawn(step: int) -> list[str]:
    """The samples of three prompts of some 60 tokens. step: tokens per step of the engine."""
    environment = os.environ | {"VERL_PLATFORM": "cpu", "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
                                "TORCHDYNAMO_DISABLE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
                                "CUDA_VISIBLE_DEVICES": "-1"}  # fmt: skip
    command = [sys.executable, "-c", DRAW, str(step)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if line.startswith("DRAWN")]


def test_samples_are_the_same_whether_prompts_fit_into_a_step_or_not():
    whole, parts = drawn(512), drawn(48)
    assert len(set(whole)) == 3 and parts == whole
