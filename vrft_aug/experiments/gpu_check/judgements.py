"""Judges the runs of the GPU check: do vLLM and the actor agree, do weights arrive, does memory come back, and so on.

Rollout and actor compute the probability p of each sampled token on their own. In bfloat16 a number has 8 significant
bits, so a logit between 16 and 32 is rounded to 1/8: each engine is off by up to 1/16 in each logit, and the two
together by up to 1/4 in the difference d of two logits. p is at most as steep as a sigmoid, dp = p (1 - p) dd, so that
the last rounding alone moves p by up to 1/16. The layers before round too: BOUNDS allow four times as much for the
largest difference of all tokens, and a hundredth for the mean. These are arguments and not measurements. In float32
the same argument gives differences 65,536 times smaller; other orders of the sums remain.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig

from vrft_aug.engine.run.metrics_file import read_steps
from vrft_aug.engine.training.checkpoint_files import shards
from vrft_aug.experiments.memory import Estimate

BOUNDS = {"bfloat16": (0.25, 0.01), "float32": (1e-3, 1e-4)}  # of |p - p'|: the largest, the mean
ARRIVED = 0.2  # KL between rollout and actor after an update, as a share of the KL by which the update moved the policy
RETURNED = 0.8  # share of what vLLM's weights and cache take, that must be free while it sleeps
SLEPT = re.compile(r"Sleep mode freed ([\d.]+) GiB memory")
Steps = Mapping[int, Mapping[str, float]]


class Finding(NamedTuple):
    """What one question found. ok: None where the profile has nothing to find."""

    question: str
    found: str
    wanted: str
    ok: bool | None


def findings(folder: Path, hardware: DictConfig, memory: Estimate | None) -> list[Finding]:
    """All findings of finished trials. folder: theirs. memory: of their training; None for a policy of unknown size."""
    phase = memory.phases.get("rollout", {}) if memory else {}
    vllm = sum(gib for part, gib in phase.items() if part.startswith("vLLM"))
    steps, grpo = read_steps(folder / "grpo" / "metrics.jsonl"), folder / "grpo"
    log = (grpo / "log.txt").read_text(errors="replace")
    return [
        agreement(steps, hardware.dtype),
        arrival(steps),
        sleep(log, hardware, vllm),
        gradients(steps),
        resumption(steps, log),
        devices(grpo, hardware.nodes * hardware.devices_per_node),
        export(folder, hardware),
        answers(folder / "answers"),
    ]


def agreement(steps: Steps, dtype: str) -> Finding:
    """Whether vLLM and the actor give the sampled tokens the same probabilities, before and after updates."""
    largest, mean = (max((step.get(f"training/rollout_probs_diff_{kind}", math.nan) for step in steps.values()),
                         default=math.nan) for kind in ("max", "mean"))  # fmt: skip
    most, usual = BOUNDS[dtype]
    found = f"largest difference {largest:.2g}, mean {mean:.2g}"
    return Finding("vLLM and the actor agree", found, f"at most {most} and {usual} ({dtype})",
                   largest <= most and mean <= usual)  # fmt: skip


def arrival(steps: Steps) -> Finding:
    """Whether vLLM samples from the updated weights. With the old ones, rollout and actor would differ after the first
    update by as much as actor and reference do: both are then the KL of the update."""
    second = steps.get(2, {})
    apart, moved = second.get("rollout_corr/k3_kl", math.nan), second.get("actor/kl_loss", math.nan)
    arrived = moved > 0 and abs(apart) <= ARRIVED * moved  # a policy that has not moved tells nothing
    found = f"KL of rollout and actor {apart:.2g}, of actor and reference {moved:.2g}"
    return Finding("new weights reach vLLM", found, f"a share of at most {ARRIVED}", arrived)


def sleep(log: str, hardware: DictConfig, vllm_gib: float) -> Finding:
    """Whether vLLM gives its memory back at every step, the same each time: so it was taken again in between.

    vllm_gib: what its weights and its cache take on a device.
    """
    question = "sleeping and waking return memory"
    if not hardware.vllm.sleep:
        return Finding(question, "vLLM does not sleep in this profile", "", None)
    freed = [float(one) for one in SLEPT.findall(log)]
    wanted = f"at least {RETURNED * vllm_gib:.0f} GiB, the same each time"
    if len(freed) < 2:
        return Finding(question, f"vLLM's log tells of {len(freed)} sleeps", wanted, False)
    same = max(freed) - min(freed[1:]) <= 0.05 * max(freed)
    return Finding(question, f"{len(freed)} sleeps free {min(freed):.1f} to {max(freed):.1f} GiB", wanted,
                   same and min(freed) >= RETURNED * vllm_gib)  # fmt: skip


def gradients(steps: Steps) -> Finding:
    norms = [step.get("actor/grad_norm", math.nan) for step in steps.values()]
    fine = bool(norms) and all(math.isfinite(one) and one > 0 for one in norms)
    return Finding("gradients are numbers", ", ".join(f"{one:.2g}" for one in norms), "finite, above 0", fine)


def resumption(steps: Steps, log: str) -> Finding:
    """Whether the second start went on from the checkpoint: verl says from which, and steps 1 and 2 came once."""
    resumed = "global_step_2" in log and sorted(steps) == [1, 2, 3]
    return Finding("a checkpoint resumes", f"steps {', '.join(map(str, sorted(steps)))}", "1, 2, then 3 from step 2",
                   resumed)  # fmt: skip


def devices(grpo: Path, wanted: int) -> Finding:
    """Whether every device of every node trained: each has written its part of the checkpoint."""
    part = shards(grpo / "checkpoints" / "global_step_3")
    ranks = json.loads((part / "fsdp_config.json").read_text())["world_size"] if part else 0
    return Finding("all devices take part", f"{ranks} of {wanted}", str(wanted), ranks == wanted)


def export(folder: Path, hardware: DictConfig) -> Finding:
    """Whether the policy of a training with LoRA is one policy, with its adapters in its weights."""
    from safetensors import safe_open

    name = "grpo" if hardware.lora_rank else "lora"
    names: list[str] = []
    for file in (folder / name / "policy").glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            names += weights.keys()
    adapters = sum("lora_" in one for one in names)
    return Finding("LoRA exports and merges", f"{len(names)} tensors, {adapters} of adapters", "0 of adapters",
                   bool(names) and not adapters)  # fmt: skip


def answers(folder: Path) -> Finding:
    """Whether the exported policy answers every test image in vLLM."""
    table = pq.read_table(folder / "predictions.parquet", columns=["response_length"])
    spoken = sum(one > 0 for one in table["response_length"].to_pylist())
    fine = 0 < len(table) == spoken
    return Finding("the exported policy answers", f"{spoken} of {len(table)}", str(len(table)), fine)
