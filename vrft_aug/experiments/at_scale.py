"""Prints what one GRPO step would cost on 1 to 16 GPUs, and on 1,000: the tables of docs/at-scale.md.

    python -m vrft_aug.experiments.at_scale

Nobody has measured these numbers. A test compares the page with them.
"""

import functools
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vrft_aug.configs import compose
from vrft_aug.data.settings import Policy
from vrft_aug.experiments import memory
from vrft_aug.experiments.model_size import find
from vrft_aug.experiments.step_time import Assumed, Gpu, Work

GPUS = (Gpu("A100", 312e12, 2.0e12, 300e9), Gpu("H100", 989e12, 3.35e12, 450e9))
POLICIES = ("qwen2_5_vl_3b", "qwen2_5_vl_7b")
LORA = {"hardware.lora_rank": 32, "hardware.reshard_after_forward": True}
SHARDS = "actor_rollout_ref.actor.fsdp_config.fsdp_size"
THOUSAND = {"hardware.nodes": 125, "data.train_batch_size": 8000}
ANSWERS = {"as the profile is": {}, "one storage unit per node": {"hardware.workers": 125},
           "and shards within a node": {"hardware.workers": 125, SHARDS: 8}}  # fmt: skip
REASONS = {
    "image_side": "pixels of a square image, as in MedMNIST+; enlarged to the smallest size that the policy allows",
    "text_tokens": "tokens of a prompt besides the image: a question, and the knowledge of a few classes",
    "answer_tokens": "tokens of an answer: a thought and a class",
    "longest_answer": "times the mean answer: the longest of a step, for which all others wait",
    "train_share": "share of the GPU's peak in prefill, reference and update (verl logs it as perf/mfu/actor)",
    "decode_share": "share of the memory's rate while tokens are generated",
    "decode_pause": "seconds per generated token besides, for vLLM's scheduler and sampler",
    "link_share": "share of NVLink's rate in collectives",
    "between_nodes": "bytes/s per GPU between nodes: an adapter of 200 Gbit/s for each GPU",
    "hop": "seconds per GPU in the ring of a collective",
    "queue_rate": "bytes/s of one storage unit of the queue, a process that copies",
    "disk_rate": "bytes/s per node to the disk of the checkpoints",
    "fixed": "seconds per step: vLLM sleeps and wakes, rewards are computed, the trainer works",
}


@functools.cache
def _profile(hardware: str, policy: str) -> DictConfig:
    return compose("grpo", [f"hardware={hardware}", f"policy={policy}"])


def changed(hardware: str, policy: str, changes: Mapping[str, Any]) -> DictConfig:
    """The resolved config of a profile and a policy, with other values of some keys."""
    config = _profile(hardware, policy).copy()
    for key, value in changes.items():
        OmegaConf.update(config, key, value)
    return config


def machine(policy: str, devices: int) -> tuple[DictConfig | None, str]:
    """The config of 1, 2 or 8 GPUs or of several nodes of 8, and what is trained: LoRA where all weights do not fit."""
    profile = {1: "gpu_2x80g", 2: "gpu_2x80g", 8: "node_8x80g"}.get(devices, "multi_node")
    size = {"hardware.devices_per_node": min(devices, 8), "hardware.nodes": ceil(devices / 8)}
    for kind, more in (("all weights", {}), ("LoRA", LORA)):
        config = changed(profile, policy, size | more)
        if (found := memory.estimate(config)) and found.peak < found.device:
            return config, kind
    return None, "does not fit"


def work(config: DictConfig, gpu: Gpu) -> Work:
    model = find(Policy.of(config.policy))
    assert model is not None, "a published policy"
    return Work(model, config, gpu, Assumed())


def steps() -> Iterator[str]:
    """Seconds per phase on 1 to 16 GPUs, with the paper's batch."""
    yield "| policy | GPUs | trained | rollout | reference | update | weights | queue | rest | step | 120 steps |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for policy in POLICIES:
        for devices in (1, 2, 8, 16):
            config, kind = machine(policy, devices)
            if config is None:
                yield f"| {policy[-2:].upper()} | {devices} | {kind} |"
                continue
            for gpu in GPUS:
                seconds = work(config, gpu).step()
                phases, hours = " | ".join(f"{one:.0f}" for one in seconds), sum(seconds) * 120 / 3600
                name = f"{policy[-2:].upper()} | {devices} x {gpu.name} | {kind}"
                yield f"| {name} | {phases} | {sum(seconds):.0f} | {hours:.1f} h |"


def thousand() -> Iterator[str]:
    """Seconds per phase on 125 nodes of 8 H100, with 8,000 prompts per step, and the bytes that move."""
    yield "| policy | setting | rollout | reference | update | weights | queue | rest | step | pixels, GB | saved, GB |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for policy in POLICIES:
        for name, more in ANSWERS.items():
            one = work(changed("multi_node", policy, THOUSAND | more), GPUS[1])
            phases = " | ".join(f"{seconds:.1f}" for seconds in one.step())
            moved = f"{one.queue_bytes() / 1e9:,.0f} | {one.saved_bytes() / 1e9:,.0f}"
            yield f"| {policy[-2:].upper()} | {name} | {phases} | {sum(one.step()):.0f} | {moved} |"


def assumptions() -> Iterator[str]:
    """Every assumed number, and the makers' figures."""
    yield "| assumed | value | what it is |"
    yield "|---|---|---|"
    for name, reason in REASONS.items():
        yield f"| `{name}` | {getattr(Assumed(), name):g} | {reason} |"
    for gpu in GPUS:
        figures = f"{gpu.flops / 1e12:.0f} TFLOP/s, {gpu.memory / 1e12:g} TB/s, NVLink {gpu.nvlink / 1e9:.0f} GB/s"
        yield f"| {gpu.name}, 80 GB | {figures} | the maker's figures: bfloat16 without sparsity, memory, one way |"


if __name__ == "__main__":
    for part in (steps, thousand, assumptions):
        print("\n".join(part()), end="\n\n")
