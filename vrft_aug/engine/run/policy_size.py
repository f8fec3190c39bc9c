"""Says how large a policy is: its parameters, its checkpoints, and the memory that holds it while a training starts."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vrft_aug.engine.run.freezing import is_frozen

# Parameters of models on the hub, for checks before anything is downloaded (tests compare them with the architectures).
PUBLISHED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "lingshu-medical-mllm/Lingshu-7B": 8_292_166_656,
    "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
}
SAVED_COPIES = 3  # of each trained parameter in a checkpoint: the parameter and Adam's two moments
BYTES = {"float32": 4, "bfloat16": 2}


def parameters(policy: str) -> int:
    """Parameters in the safetensors files of a folder, or those of a hub id. 0: neither is known."""
    return sum(numbers for _, numbers in tensors(policy)) or PUBLISHED.get(policy, 0)


def tensors(policy: str) -> Iterator[tuple[str, int]]:
    """Name and number of parameters of each tensor in the safetensors files of a folder; none for a hub id."""
    from safetensors import safe_open

    for path in Path(policy).glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                yield name, math.prod(file.get_slice(name).get_shape())


def frozen_parameters(policy: str, freeze: str = "none") -> int:
    """Parameters of a folder that `freeze` holds; 0 for a hub id."""
    return 0 if freeze == "none" else sum(numbers for name, numbers in tensors(policy) if is_frozen(name, freeze))


def checkpoint_bytes(policy: str, hardware: Any, freeze: str = "none") -> int:
    """Bytes of a checkpoint: x 3 numbers per trained parameter, x 1 per frozen one, and with LoRA, since adapters are
    small."""
    frozen, all_ = frozen_parameters(policy, freeze), parameters(policy)
    return (all_ if hardware.lora_rank else SAVED_COPIES * (all_ - frozen) + frozen) * BYTES[hardware.master_dtype]


def host_bytes(policy: str, hardware: Any, recipe: str, freeze: str = "none") -> int:
    """Bytes of a GPU machine's memory that hold the policy while a training starts; 0 for an evaluation.

    Each rank of a machine loads the whole policy in `master_dtype` if it ties its embeddings, else only the first
    (verl/utils/fsdp_utils.py:64). What is kept beside it: GRPO's reference policy without LoRA, and what is off-loaded.
    """
    if recipe == "evaluate":
        return 0
    loaded = (hardware.devices_per_node if _ties_embeddings(policy) else 1) * BYTES[hardware.master_dtype]
    moments = 0 if hardware.lora_rank else 2 * hardware.offload.optimizer * BYTES[hardware.master_dtype]
    kept = hardware.offload.parameters * BYTES[hardware.master_dtype] + moments
    if recipe == "grpo" and not hardware.lora_rank:
        kept += BYTES[hardware.reference.dtype]
    unkept = frozen_parameters(policy, freeze) * moments
    return round(parameters(policy) * (loaded + kept / hardware.nodes) - unkept / hardware.nodes)


def _ties_embeddings(policy: str) -> bool:
    """As the policy's config.json says; True where there is none, which needs more memory."""
    if not (file := Path(policy, "config.json")).is_file():
        return True
    said = json.loads(file.read_text())
    return said.get("tie_word_embeddings", said.get("text_config", {}).get("tie_word_embeddings", False))
