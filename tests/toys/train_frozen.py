"""Trains the tiny policy for one step with parts of it frozen, and reports what moved, was allocated, and was sent.

    python train_frozen.py <folder for checkpoints> <freeze>:<LoRA rank> ...

Run it with one process, or with several by torchrun; it prints one line of JSON, {"<freeze>:<rank>": facts}.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from allocations import Allocations
from fsdp_engines import TOKENS, engine, rows, weighted_sum, whole
from safetensors.torch import load_file
from verl.utils import tensordict_utils as tu
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from vrft_aug.engine.run.freezing import is_frozen
from vrft_aug.engine.training.policy import merge
from vrft_aug.tiny.shipped import FOLDER

SETTINGS = ("hardware.attention=sdpa", "hardware.remove_padding=false", "hardware.gradient_checkpointing=false",
            "hardware.use_fused_kernels=false", "hardware.dtype=float32", "hardware.vllm.sleep=false",
            "schedule.learning_rate=1e-3")  # fmt: skip


def backward(built: FSDPEngineWithLMHead) -> dict[str, Any]:
    """One forward and backward pass: bytes that stay and their peak, and the shapes of all results while backward."""
    data, seen = rows(FOLDER), Allocations()
    tu.assign_non_tensor(data, use_remove_padding=False, use_fused_kernels=False, temperature=0.9,
                         use_dynamic_bsz=True, max_token_len_per_gpu=TOKENS)  # fmt: skip

    def loss(*arguments: Any, **named: Any) -> Any:
        result = weighted_sum(*arguments, **named)
        seen.shapes.clear()  # verl goes backward right after this
        return result

    with seen:
        built.forward_backward_batch(data, loss)
    gradients = {name: whole(weight.grad).clone() for name, weight in built.module.named_parameters()
                 if weight.grad is not None}  # fmt: skip
    return {"live": seen.live, "peak": seen.peak, "shapes": seen.shapes, "gradients": gradients}


def weights(built: FSDPEngineWithLMHead) -> dict[str, torch.Tensor]:
    return {name: whole(weight).detach().clone() for name, weight in built.module.named_parameters()}


def shapes_of(part: str, all_weights: dict[str, torch.Tensor]) -> set[tuple[int, ...]]:
    """Shapes that matrices of a part have, as `freeze` names it, and no weight outside it."""
    inside, outside = ({tuple(weight.shape) for name, weight in all_weights.items() if is_frozen(name, part) is wanted}
                       for wanted in (True, False))  # fmt: skip
    return {shape for shape in inside - outside if len(shape) > 1}


def step(freeze: str, rank: int) -> tuple[FSDPEngineWithLMHead, dict[str, Any], dict[str, torch.Tensor]]:
    """The engine after one step, facts about the step, and the step's gradients."""
    torch.manual_seed(0)  # adapters start at random
    built = engine(FOLDER, *SETTINGS, f"freeze={freeze}", f"hardware.lora_rank={rank}")
    before = weights(built)
    with built.train_mode():
        seen = backward(built)
        built.optimizer_step()
    after = weights(built)
    trained = {name: weight for name, weight in built.module.named_parameters() if weight.requires_grad}
    moments = (tensor for state in built.optimizer.state.values() for tensor in state.values() if tensor.dim())
    facts = {
        "moved": sorted(name for name in after if not after[name].equal(before[name])),
        "trained": sorted(trained),
        "of_frozen_parts": [name for name in trained if is_frozen(name, freeze)],
        "gradients": sorted(seen["gradients"]),
        "live": seen["live"],
        "peak": seen["peak"],
        "trained_bytes": sum(getattr(one, "_local_tensor", one).nbytes for one in trained.values()),
        "moment_bytes": sum(getattr(one, "_local_tensor", one).nbytes for one in moments),
        "in_optimizer": sum(len(group["params"]) for group in built.optimizer.param_groups),
        "allocated_like": {part: sorted(shapes_of(part, after) & seen["shapes"]) for part in ("vision", "language")},
        **sent(built),
    }
    return built, facts, seen["gradients"]


def sent(built: FSDPEngineWithLMHead) -> dict[str, Any]:
    """Names of the weights that go to vLLM: two times in a row; then to a vLLM elsewhere, and to one that has slept."""

    def names(**named: Any) -> list[str]:
        return [name for name, _ in built.get_per_tensor_param(**named)[0]]

    found = {"sent": [names(base_sync_done=True) for _ in range(2)], "sent_elsewhere": names()}
    built.engine_config = replace(built.engine_config, vllm_sleeps=True)
    names(base_sync_done=True)
    return found | {"sent_asleep": names(base_sync_done=True)}


def exported(built: FSDPEngineWithLMHead, folder: Path, freeze: str, rank: int) -> dict[str, Any]:
    """What the recipes would export after the step, and whether another engine continues from it."""
    built.save_checkpoint(str(folder / "actor"), global_step=1)
    first, last = (load_file(one / "model.safetensors") for one in (FOLDER, merge(folder, folder / "policy")))
    changed = [name for name in first if not last[name].equal(first[name].bfloat16())]
    other = engine(FOLDER, *SETTINGS, f"freeze={freeze}", f"hardware.lora_rank={rank}")
    other.load_checkpoint(str(folder / "actor"))
    pairs = [(one["exp_avg"], two["exp_avg"]) for one, two in zip(
        *(each.optimizer.state.values() for each in (built, other)), strict=True)]  # fmt: skip
    again = weights(other)
    resumed = all(one.equal(again[name]) for name, one in weights(built).items())
    resumed = resumed and all(whole(one).equal(whole(two)) for one, two in pairs)
    return {"resumed": resumed, "names": first.keys() == last.keys(), "changed": len(changed),
            "frozen_changed": [name for name in changed if is_frozen(name, freeze)]}  # fmt: skip


def main(folder: Path, cases: list[str]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("cpu:gloo")
    report, exact = {}, dict[str, dict[str, torch.Tensor]]()
    for case in cases:
        freeze, _, rank = case.rpartition(":")
        built, report[case], gradients = step(freeze, int(rank))
        if freeze == "none":
            exact[rank] = gradients
        apart = [(one - exact[rank][name]).abs().max() / exact[rank][name].abs().max().clamp(min=1e-9)
                 for name, one in gradients.items()]  # fmt: skip
        report[case]["gradient_error"] = float(max(apart))
        if torch.distributed.get_world_size() == 1:
            report[case]["exported"] = exported(built, folder / case / "global_step_1", freeze, int(rank))
    if not torch.distributed.get_rank():
        print(json.dumps(report))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
