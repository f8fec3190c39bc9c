"""Compares the memory formula with verl's own modules on fake tensors, for every GPU profile: GiB of one device.

    python benchmarks/gpu_memory.py                                # a minute or two per line, about 6 GiB of memory
    python benchmarks/gpu_memory.py --only gpu_2x80g/qwen2_5_vl_3b

A fake tensor has a shape and no values, so the real 3B and 7B fit here. Both columns are the update of a full
micro-batch of the longest prompts, with gradients and AdamW's moments present, without the processes' own share.
It is not measured on a GPU: the allocator's gaps, CUDA's libraries and the kernels' workspaces are not in it.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CASES = ["gpu_1x24g/qwen2_5_vl_3b", "gpu_2x80g/qwen2_5_vl_3b", "node_8x80g/qwen2_5_vl_3b", "node_8x80g/qwen2_5_vl_7b",
         "multi_node/qwen2_5_vl_3b", "multi_node/qwen2_5_vl_7b"]  # fmt: skip


def measure(case: str) -> dict[str, float]:
    """GiB of the case, {"fake": ..., "formula": ...}, found in a process of its own: verl's patches last."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "VERL_PLATFORM": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, __file__, "--case", case], cwd=ROOT, env=environment, check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def compare(case: str) -> dict[str, float]:
    import fake_tensors
    import torch

    fake_tensors.replace_kernels()
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    from vrft_aug.configs import compose
    from vrft_aug.data.settings import Policy
    from vrft_aug.experiments import memory
    from vrft_aug.experiments.model_size import PUBLISHED, find

    hardware, name = case.split("/")
    config = compose("grpo", [f"hardware={hardware}", f"policy={name}"])
    profile, policy = config.hardware, Policy.of(config.policy)
    torch.set_num_threads(1)
    devices = profile.nodes * profile.devices_per_node
    torch.distributed.init_process_group("fake", rank=0, world_size=devices, store=FakeStore())
    mesh = init_device_mesh("cpu", (devices,), mesh_dim_names=("fsdp",))  # on a cuda mesh FSDP2 wants streams
    alive = fake_tensors.Bytes()
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    batch = rows(profile.max_tokens_per_device, policy, mode)
    with mode:
        model = build(config, PUBLISHED / f"{name}.json", mesh)
        for tensor in (*model.parameters(), *model.buffers()):
            alive.see(tensor)
        fake_tensors.watch_fsdp(alive)
        with alive:
            keep_state(model)
            update(model, batch, profile)
    expected = memory.training(find(policy), profile, policy)
    formula = sum(expected.values()) - expected["processes"]
    return {"fake": alive.peak / memory.GIB, "formula": formula}


def rows(tokens: int, policy: Any, mode: Any) -> dict[str, Any]:
    """A micro-batch of `tokens` that holds as many of the longest prompts as possible, packed as verl packs them."""
    import fake_tensors
    import torch

    number, unit = tokens // policy.max_prompt_length, policy.patch * policy.merge
    high = 2 ** ((policy.max_pixels // unit**2).bit_length() // 2)  # tokens; such as 32 x 40 for 1280
    wide = policy.max_pixels // unit**2 // high
    grid = torch.tensor([[1, high * policy.merge, wide * policy.merge]] * number)
    fake_tensors.place_images(grid, mode.from_tensor)
    values = 3 * 2 * policy.patch**2  # of a patch: three colours, and each image counts as two frames
    patches = int(grid.prod(1).sum())
    with mode:
        return {
            "input_ids": torch.zeros(1, tokens, dtype=torch.long),
            "position_ids": torch.zeros(4, 1, tokens, dtype=torch.long),
            "pixel_values": torch.empty(patches, values, dtype=torch.bfloat16),
            "image_grid_thw": mode.from_tensor(grid),
        }


def build(config: Any, file: Path, mesh: Any) -> Any:
    """The policy as verl's FSDP engine builds it: its patches, LoRA, checkpointing, FSDP2."""
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy
    from transformers import AutoConfig, AutoModelForImageTextToText
    from verl.models.transformers.monkey_patch import apply_monkey_patch
    from verl.utils.fsdp_utils import apply_fsdp2

    profile, sizes = config.hardware, AutoConfig.from_pretrained(file)
    model = AutoModelForImageTextToText.from_config(
        sizes, dtype=getattr(torch, profile.master_dtype), attn_implementation="flash_attention_2"
    )
    fused = profile.use_fused_kernels and sizes.tie_word_embeddings
    apply_monkey_patch(model=model, use_remove_padding=True, use_fused_kernels=fused, fused_kernels_backend="torch")
    model.is_fused = fused
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if profile.lora_rank:
        model = add_adapters(model, config)
    mixed = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=True)
    reshard = profile.reshard_after_forward
    apply_fsdp2(model, {"mesh": mesh, "mp_policy": mixed, "reshard_after_forward": reshard}, {})
    gc.collect()
    return model


def add_adapters(model: Any, config: Any) -> Any:
    """verl's own LoRA. peft moves a layer's adapters to its device, which fake tensors do not let it replace."""
    from unittest import mock

    import peft.tuners.tuners_utils as tuners
    import torch
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    settings = SimpleNamespace(**config.actor_rollout_ref.model, target_parameters=None)
    torch.set_default_dtype(getattr(torch, config.hardware.master_dtype))
    with (
        mock.patch.object(torch.nn.Module, "to", lambda self, *_, **__: self),
        mock.patch.object(tuners.BaseTunerLayer, "_move_adapter_to_device_of_base_layer", lambda *_, **__: None),
    ):
        model = FSDPEngineWithLMHead._build_lora_module(SimpleNamespace(model_config=settings), model)
    torch.set_default_dtype(torch.float32)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()  # as vrft_aug/engine/verl/precision.py
    return model


def keep_state(model: Any) -> None:
    """Gradients and AdamW's moments, as they are after a step and an earlier micro-batch of the next."""
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    model.optimizer = torch.optim.AdamW(weights)
    model.optimizer.step()


def update(model: Any, batch: dict[str, Any], profile: Any) -> None:
    """Forward and backward, as verl/workers/engine/fsdp/transformer_impl.py computes a micro-batch."""
    import torch
    import verl.utils.torch_functional as functional

    labels, temperature = batch["input_ids"], 0.9
    fused = {"temperature": temperature, "shift_labels": labels} if getattr(model, "is_fused", False) else {}
    with torch.autocast("cpu", dtype=getattr(torch, profile.dtype)):
        out = model.train()(**batch, attention_mask=None, use_cache=False, **fused)
        if fused:
            log_probs = out.log_probs
        else:
            logits = out.logits.squeeze(0)
            logits = logits / torch.full((len(logits), 1), temperature).to(logits.dtype)
            log_probs = functional.logprobs_from_logits(logits, labels[0], inplace_backward=True)
    log_probs.sum().backward()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CASES, nargs="+", default=CASES)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(compare(arguments.case)))
        return
    print("| profile, policy | fake tensors, GiB | formula, GiB | formula above |\n|---|---|---|---|")
    for case in arguments.only:
        found = measure(case)
        above = found["formula"] / found["fake"] - 1
        print(f"| {case} | {found['fake']:.1f} | {found['formula']:.1f} | {above:.0%} |", flush=True)


if __name__ == "__main__":
    main()
