"""Measures the floor of a step at 30 M parameters: the passes of the language model alone.

    python benchmarks/arithmetic.py        # two minutes

The model has random weights and the size that peers.py uses. It computes as many sequences as a step has, of 120 prompt
tokens and 256 new tokens: 11 at a time, 32 at a time, 8 whose prompt is computed once
(vrft_aug/engine/cpu/prompt_sharing.py), and these with gradients from products in bfloat16
(vrft_aug/engine/cpu/bfloat16_gradients.py). Beside them it prints what a bare matrix product reaches on the same
threads.
"""

import json
import time
from collections.abc import Callable

import machine
import torch
from peers import HARDWARE, PROMPTS, SAMPLES, SIZES
from torch.profiler import profile
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

from vrft_aug.engine.cpu import bfloat16_gradients
from vrft_aug.engine.cpu.prompt_sharing import share_prompts

PROMPT = 120
TOKENS = PROMPT + SIZES["30m"][0]
ROPE = dict(rope_type="default", rope_theta=1e6, mrope_section=[8, 12, 12])
ONCE, SHORT = "8 at a time, their prompt once", "the same, gradients in bfloat16"
WAYS = {"11 at a time": (11, 1), "32 at a time": (32, 1), ONCE: (8, 8), SHORT: (8, 8)}  # rows, of a prompt


def seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    started = time.perf_counter()
    for _ in range(rounds):
        work()
    return (time.perf_counter() - started) / rounds


def product(dtype: torch.dtype) -> float:
    """GFLOP/s of (2048, 512) x (512, 2048)."""
    left, right = torch.randn(2048, 512, dtype=dtype), torch.randn(512, 2048, dtype=dtype)
    return 2 * 2048 * 512 * 2048 / seconds(lambda: left @ right, 30) / 1e9


def main() -> None:
    torch.set_num_threads(int(HARDWARE["env"]["OMP_NUM_THREADS"]))
    model = Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**SIZES["30m"][-1], vocab_size=1732, rope_parameters=ROPE,
                                                     attn_implementation="sdpa"))  # fmt: skip
    result = {f"{dtype} GFLOP/s": round(product(dtype)) for dtype in (torch.float32, torch.bfloat16)}
    lines = []
    sharing = share_prompts(model)
    for way, (batch, sharing.samples) in WAYS.items():
        sharing.tokens = PROMPT
        if way == SHORT:
            bfloat16_gradients.use(model)
        inputs = {"inputs_embeds": torch.randn(batch, TOKENS, model.config.hidden_size),
                  "attention_mask": torch.ones(batch, TOKENS, dtype=torch.int64),
                  "position_ids": torch.arange(TOKENS).expand(4, batch, -1)}  # fmt: skip

        def forward(inputs: dict = inputs) -> torch.Tensor:
            return model(**inputs, use_cache=False).last_hidden_state

        with torch.no_grad():
            alone = seconds(forward, 1) / batch * PROMPTS * SAMPLES
        with profile() as recorded:
            both = seconds(lambda: forward().sum().backward(), 1) / batch * PROMPTS * SAMPLES
        events = recorded.key_averages()
        total = sum(event.self_cpu_time_total for event in events)
        shares = {event.key: event.self_cpu_time_total / total for event in events}
        top = dict(sorted(((key, round(share, 2)) for key, share in shares.items()), key=lambda item: -item[1])[:4])
        result[way] = {"forward": round(alone, 1), "forward and backward": round(both, 1), "by": top}
        lines.append(f"{way}: forward {alone:.1f} s, forward and backward {both:.1f} s, "
                     f"{top.get('aten::mm', 0):.0%} of it in mm")  # fmt: skip
    print(json.dumps(result | {"machine": machine.describe()}))
    ratio = result[SHORT]["forward and backward"] / result[ONCE]["forward and backward"]
    print(*lines, f"gradients in bfloat16: {ratio:.2f} of forward and backward in float32",
          f"a bare product: {result['torch.float32 GFLOP/s']} GFLOP/s in float32, "
          f"{result['torch.bfloat16 GFLOP/s']} in bfloat16; {machine.describe()}", sep="\n")  # fmt: skip


if __name__ == "__main__":
    main()
