"""Counts the CPUs that verl 0.9.1 asks Ray for, and refuses a cluster that has fewer: verl would wait for ever.

Ray's CPUs are a count of places, and no cores are bound to them. The places of a training by GRPO:

    3 per device                 the placement group of a node (verl/single_controller/ray/base.py:146, :192)
    1 for the task runner        engine/training/grpo.py
    1 for the queue's controller transfer_queue/controller.py:943
    1 per unit of the queue      transfer_queue/storage/simple_storage.py:722; as many as hardware.workers

The other actors ask for no CPU, and Ray starts them where none is free.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from vrft_aug.engine.run.machine_checks import Verdict

PER_DEVICE = 3
OTHERS = 2  # task runner, controller


def needed(hardware: Any) -> int:
    """CPUs of the whole cluster."""
    return PER_DEVICE * hardware.nodes * hardware.devices_per_node + OTHERS + hardware.workers


def announced(hardware: Any) -> int:
    """How many CPUs a cluster of our own says that it has: ray.num_cpus (null: the cores), or more if verl needs more.

    A machine with one GPU and four cores has enough of them: the processes wait for the GPU and for each other.
    """
    return max(_set(hardware), needed(hardware))


def is_raised(hardware: Any) -> bool:
    return announced(hardware) > _set(hardware)


def places(hardware: Any) -> Verdict:
    """Never a problem for a cluster of our own; a cluster that we join is checked when it is joined."""
    asked = f"verl asks for {needed(hardware)}"
    if hardware.ray.address != "local":
        return f"{asked}, of the whole cluster", ""
    raised = f" (ray.num_cpus or cores: {_set(hardware)})" if is_raised(hardware) else ""
    return f"{asked}, Ray gets {announced(hardware)}{raised}", ""


def shortage(nodes: Iterable[Mapping[str, Any]], hardware: Any) -> str:
    """What a running cluster lacks; empty if nothing. nodes: as `ray.nodes()` gives them, whether free or in use."""
    has = [node["Resources"] for node in nodes if node["Alive"]]
    cpus, devices = PER_DEVICE * hardware.devices_per_node, hardware.devices_per_node
    fit = sum(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= devices for node in has)
    if fit < hardware.nodes:
        return (f"{fit} of its {len(has)} nodes have {devices} GPUs and {cpus} CPUs, and hardware.nodes="
                f"{hardware.nodes}: add nodes, or set hardware.nodes and hardware.devices_per_node")  # fmt: skip
    if (found := int(sum(node.get("CPU", 0) for node in has))) < needed(hardware):
        return (f"it has {found} CPUs and verl asks for {needed(hardware)}: add a node, start one with "
                "`ray start --num-cpus=<more>`, or set hardware.workers lower")  # fmt: skip
    return ""


def _set(hardware: Any) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return hardware.ray.num_cpus or cores
