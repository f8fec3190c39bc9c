"""Trains a policy with tied embeddings for one step on two ranks, saves and merges it; notes what became of the tie.

    torchrun --standalone --nproc-per-node=2 tests/gpu_path/train_tied.py <folder for the policies and report.json>

test_tied_embeddings.py starts it, with the stand-in for flash-attn on the PYTHONPATH. The ranks talk over gloo.
"""

import json
import sys
from pathlib import Path

import torch
from compare_padding_free import PADDED, PADDING_FREE
from fsdp_engines import ROWS, compute, engine, rows, whole
from transformers import AutoModelForImageTextToText
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from vrft_aug.engine.training import policy as policies
from vrft_aug.experiments.gpu_check.start import tied_tiny

RANKS = 2
COMMON = ("hardware.dtype=float32", "hardware.reshard_after_forward=true", "schedule.learning_rate=1e-2")
CASES = {"padded": PADDED, "padding_free": (*PADDING_FREE, "hardware.use_fused_kernels=true")}  # this one patches more


def parts(model: torch.nn.Module) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    return model.lm_head.weight, model.model.language_model.embed_tokens.weight


def on_one_device(policy: Path) -> dict[str, torch.Tensor]:
    """Each gradient by transformers itself, row by row, without verl's engine."""
    model, data = AutoModelForImageTextToText.from_pretrained(policy, dtype=torch.float32), rows(policy)
    ids, positions, weights = (data[name].unbind() for name in ("input_ids", "position_ids", "weights"))
    for row, place, weight, image in zip(ids, positions, weights, data["multi_modal_inputs"], strict=True):
        seen = model(
            input_ids=row[None], attention_mask=torch.ones_like(row)[None], position_ids=place[:, None], **image
        )
        log_probs = (seen.logits[0] / 0.9).log_softmax(-1).gather(-1, row.roll(-1)[:, None])[:, 0]
        (-(log_probs * weight).sum()).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def train(built: FSDPEngineWithLMHead, policy: Path, rank: int) -> tuple[dict[str, torch.Tensor], dict]:
    """One update on this rank's rows; returns the gradients of all ranks together and facts about the tie."""
    is_tied = len(set(map(id, parts(built.module)))) == 1
    before = whole(parts(built.module)[0]).detach().clone()
    _, gradients = compute(built, rows(policy, range(rank, len(ROWS), RANKS)), update=True)
    head, embedding = (whole(part).detach() for part in parts(built.module))
    sent = [name for name, _ in built.get_per_tensor_param()[0]]
    return gradients, {"tied": is_tied, "equal": head.equal(embedding), "moved": float((head - before).abs().max()),
                       "sent": [name for name in sent if "lm_head" in name or "embed_tokens" in name]}  # fmt: skip


def merged(folder: Path, built: FSDPEngineWithLMHead) -> dict:
    """What the recipes would export from the checkpoint in `folder`."""
    head = whole(parts(built.module)[0]).detach()
    built.save_checkpoint(str(folder / "actor"), global_step=1)
    found: dict = {}
    if not torch.distributed.get_rank():
        model = AutoModelForImageTextToText.from_pretrained(policies.merge(folder, folder.with_name("merged")))
        first, second = parts(model)
        found = {"merged_tied": first is second, "merged_equal": first.bfloat16().equal(head.bfloat16())}
    torch.distributed.barrier()
    return found


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("cpu:gloo")
    rank, policy, report = torch.distributed.get_rank(), folder / "policy", {}
    if not rank:
        tied_tiny(policy)
    torch.distributed.barrier()
    for name, settings in CASES.items():
        built = engine(policy, *COMMON, *settings)
        gradients, report[name] = train(built, policy, rank)
        if name == "padded":
            alone = on_one_device(policy)  # with verl's patches for a policy that pads
        apart = [(RANKS * one - alone[key]).abs().max() / alone[key].abs().max() for key, one in gradients.items()]
        report[name] |= {"gradients": float(max(apart)), "same_names": gradients.keys() == alone.keys()}
        report[name] |= merged(folder / name / "global_step_1", built)
    if not rank:
        (folder / "report.json").write_text(json.dumps(report))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
