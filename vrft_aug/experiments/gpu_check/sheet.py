"""Writes the page of the GPU check: machine, findings, memory beside the formula, seconds per phase, speed.

The line of speeds has the columns of EasyR1's page of baselines (assets/baselines.md), so that both can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from vrft_aug.engine.run.metrics_file import read_steps
from vrft_aug.experiments.gpu_check.judgements import Finding
from vrft_aug.experiments.memory import Estimate

PHASES = {"rollout": "gen", "log-probabilities": "old_log_prob", "reference": "ref", "update": "update_actor",
          "weights to vLLM": "update_weights", "step": "step"}  # fmt: skip
MARKS = {True: "yes", False: "**no**", None: "–"}
WARM = 2  # the step that is timed: the first one after a start, as 1 and 3 are, compiles and fills caches


@dataclass(frozen=True)
class Page:
    """What the page tells. machine: facts as (name, text). doctor: what it said. seconds: of each run.

    memory: None for a policy of unknown size.
    """

    machine: Sequence[tuple[str, str]]
    doctor: str
    findings: Sequence[Finding]
    seconds: Mapping[str, float]
    memory: Estimate | None
    hardware: DictConfig
    policy: str


def markdown(page: Page, folder: Path) -> str:
    """The page. folder: of the trials."""
    steps = read_steps(folder / "grpo" / "metrics.jsonl")
    warm = steps.get(WARM, {})
    judged = [(MARKS[one.ok], one.question, one.found, one.wanted) for one in page.findings]
    parts = [
        f"# GPU check: {page.hardware.name}",
        table(["", ""], page.machine),
        "## Findings",
        table(["", "", "found", "wanted"], judged),
        "## Memory per device, GiB",
        table(["", "measured", "formula"], _memory(page, list(steps.values()))),
        f"## Seconds per phase of GRPO, step {WARM}",
        table(list(PHASES), [[f"{warm.get(f'timing_s/{key}', 0):.1f}" for key in PHASES.values()]]),
        "## Speed",
        _speed(page, warm, _peaks(list(steps.values()))),
        "## Seconds per run",
        table(list(page.seconds), [[f"{one:.0f}" for one in page.seconds.values()]]),
        "## Doctor",
        f"```\n{page.doctor.strip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lines)


def _memory(page: Page, steps: Sequence[Mapping[str, float]]) -> list[tuple[str, str, str]]:
    """Measured by torch's allocator in the actor's process: it does not see vLLM's, nor what CUDA itself takes."""
    # The CPU's formula is of the whole machine.
    training = dict(page.memory.phases["training"]) if page.memory and page.hardware.device == "cuda" else {}
    training.pop("processes", None)
    expected = f"{sum(training.values()):.1f}" if training else "–"
    peak, reserved, host = _peaks(steps)
    return [
        ("allocated for the training, at most", f"{peak:.1f}", expected),
        ("reserved for the training, at most", f"{reserved:.1f}", "–"),
        ("memory of the host in use, at most", f"{host:.1f}", "–"),
    ]


def _peaks(steps: Sequence[Mapping[str, float]]) -> tuple[float, ...]:
    """GiB: allocated and reserved on a device, and in use on the host; the most of all steps."""
    keys = ("max_memory_allocated", "max_memory_reserved", "cpu_memory_used")
    return tuple(max((step.get(f"actor/perf/{key}_gb", 0.0) for step in steps), default=0.0) for key in keys)


def _speed(page: Page, warm: Mapping[str, float], peaks: Sequence[float]) -> str:
    hardware = page.hardware
    header = ["Size", "GPU Type", "Bits", "Batch Size", "vLLM Util", "vLLM TP", "Peak Mem", "Peak VRAM", "Throughput",
              "Sec per step", "Actor MFU"]  # fmt: skip
    number = hardware.nodes * hardware.devices_per_node
    device = dict(page.machine).get("device", hardware.device)
    bits = "BF16" if hardware.master_dtype == "bfloat16" else "AMP" if hardware.dtype == "bfloat16" else "FP32"
    row = [page.policy, f"{number} * {device}", bits, f"{hardware.max_tokens_per_device} tokens",
           str(hardware.vllm.memory_fraction), str(hardware.vllm.tensor_parallel),
           f"{peaks[2]:.0f}GB", f"{peaks[0]:.0f}GB", f"{warm.get('perf/throughput', 0):.0f}",
           f"{warm.get('perf/time_per_step', 0):.0f}s", f"{100 * warm.get('perf/mfu/actor', 0):.1f}%"]  # fmt: skip
    return table(header, [row])
