"""Compares verl's engine without padding, as on a GPU, with the one that pads; prints the differences as JSON.

    python tests/gpu_path/compare_padding_free.py <folder for a policy>

test_padding_free.py starts it, with the stand-in for flash-attn on the PYTHONPATH. verl patches transformers' classes
when it builds an engine without padding, so every engine that pads computes first.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from fsdp_engines import compute, engine, rows

from vrft_aug.experiments.gpu_check.start import tied_tiny

PADDED = ("hardware.remove_padding=false", "hardware.attention=sdpa", "hardware.gradient_checkpointing=false",
          "hardware.use_fused_kernels=false")  # fmt: skip
PADDING_FREE = ("hardware.remove_padding=true", "hardware.attention=flash_attention_2",
                "hardware.gradient_checkpointing=true")  # fmt: skip
UNFUSED, FUSED = (f"hardware.use_fused_kernels={value}" for value in ("false", "true"))
CASES = {  # settings of both engines
    "float32": ("hardware.dtype=float32",),
    "bfloat16": ("hardware.dtype=bfloat16",),
    "lora": ("hardware.dtype=float32", "hardware.lora_rank=8"),
    "lora_bfloat16": ("hardware.dtype=bfloat16", "hardware.master_dtype=bfloat16", "hardware.lora_rank=8"),
}


BOUNDED = ("log_probs", "mean_difference", "gradients", "norm")


def build(policy: Path, *overrides: str):
    """An engine with trained adapters, if it has any: at the start B is 0, so that A gets no gradient."""
    built = engine(policy, *overrides)
    random = torch.Generator().manual_seed(0)
    for name, parameter in built.module.named_parameters():
        if "lora_" in name:
            values = torch.randn(parameter.shape, generator=random) * 0.02
            with torch.no_grad():
                (parameter.to_local() if hasattr(parameter, "to_local") else parameter).copy_(values)
    return built


def differences(expected: tuple, found: tuple) -> dict[str, float]:
    """Of log-probabilities in nats; of gradients relative to the largest of their parameter; of the gradient's norm."""
    (log_probs, gradients), (others, other_gradients) = expected, found
    assert gradients.keys() == other_gradients.keys(), gradients.keys() ^ other_gradients.keys()
    relative = [float((other_gradients[name] - one).abs().max() / one.abs().max().clamp(min=1e-12))
                for name, one in gradients.items()]  # fmt: skip
    norm, other_norm = (sum(float(one.square().sum()) for one in each.values()) ** 0.5
                        for each in (gradients, other_gradients))  # fmt: skip
    apart = (others - log_probs).abs()
    return {"tokens": len(log_probs), "mean": float(log_probs.mean()), "log_probs": float(apart.max()),
            "mean_difference": float(apart.mean()), "parameters": len(gradients), "gradients": max(relative),
            "norm": abs(other_norm / norm - 1)}  # fmt: skip


def main(folder: Path) -> dict[str, dict[str, float]]:
    policy = tied_tiny(folder / "policy")
    data = rows(policy)
    padded = {name: compute(build(policy, *PADDED, *settings), data) for name, settings in CASES.items()}
    found = {name: compute(build(policy, *PADDING_FREE, UNFUSED, *settings), data) for name, settings in CASES.items()}
    padded["fused"] = padded["float32"]
    found["fused"] = compute(build(policy, *PADDING_FREE, FUSED, *CASES["float32"]), data)  # patches more: the last
    compared = {name: differences(padded[name], found[name]) for name in padded}
    for name, exact in (("bfloat16", "float32"), ("lora_bfloat16", "lora")):
        rounded = differences(padded[exact], padded[name])
        compared[name] |= {f"rounding_of_{key}": rounded[key] for key in BOUNDED}
    return compared


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.NamedTemporaryFile() as meeting:
        torch.distributed.init_process_group("cpu:gloo", init_method=f"file://{meeting.name}", rank=0, world_size=1)
        print(json.dumps(main(Path(sys.argv[1]))))
        torch.distributed.destroy_process_group()
