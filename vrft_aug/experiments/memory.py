"""Memory that a run needs on each device, in GiB, by formula: not measured, for nobody has run it on a GPU yet.

N devices; P parameters, Q of them trained (all, or LoRA's adapters), w bytes each (`master_dtype`); c bytes a number in
computation (`dtype`); T tokens in a full micro-batch (`max_tokens_per_device`); V vocabulary, h hidden, L layers.

    training  weights      w (P + adapters) / N     FSDP2 shards every parameter
              gradients    w Q / N                  reduced after every micro-batch, as verl's default has it
              optimizer    2 w Q / N                AdamW's two moments
              gathered     what FSDP2 holds whole: the embedding, two layers; the embedding's gradient in c and float32
              activations  T (c h L + one layer's), and the same for the patches, with gradient checkpointing
              logits       2 c T V                  the head's, and those divided by the temperature; the gradient
                                                    replaces them in place (flash-attn's cross entropy). With verl's
                                                    fused kernels: chunks of 512 tokens, four times in float32
    transfer  weights and optimizer as far as they are not off-loaded (LoRA's weights are loaded for it), vLLM's
              weights, the bucket, the largest tensor whole
    rollout   the same training state, and vLLM's share: `memory_fraction` of the device
    always    the two processes: CUDA contexts, NCCL, workspaces, CUDA graphs. 2 GiB are assumed.

The frozen reference adds nothing: it lies in host memory and passes layer by layer, or it is LoRA's own base. Left out:
what the allocator loses in gaps, the images' own tensors, and vLLM's vision tower at work, for which vLLM reserves
nothing here (`skip_mm_profiling`).
"""

import psutil
from omegaconf import DictConfig

from vrft_aug.engine.run.preflight import BYTES_A_PARAMETER, GIB
from vrft_aug.experiments import model_size as shapes
from vrft_aug.experiments.model_size import Shape

BYTES = {"float32": 4, "bfloat16": 2}
PROCESSES = 2.0  # GiB, assumed
# A layer's saved tensors in bytes a token, beside 8 for each inner number of its SwiGLU: the multiple of its width.
DECODER_LAYER, VISION_BLOCK = 21, 31


def estimate(config: DictConfig) -> dict | None:
    """The memory of a worker under a resolved root config: of grpo.yaml, sft.yaml or evaluate.yaml.

    Returns parts in GiB for each phase that the recipe has (`training`, `transfer`, `rollout`), their largest sum
    (`peak`), the device's size (`device`; this machine's memory where the profile gives none), the number of
    `parameters`, and how many `sequences` of full length vLLM's cache holds (0: vLLM does not start; None: there is no
    vLLM). None for a policy of unknown shape.
    """
    shape, hardware = shapes.find(config.policy), config.hardware
    if shape is None:
        return None
    phases = _phases(shape, config)
    sequence = 2 * shape.text["num_hidden_layers"] * shape.kv_width * BYTES[hardware.dtype] * config.policy.max_length
    cache = phases.get("rollout", {}).get("vLLM cache")
    return phases | {
        "peak": max(sum(parts.values()) for parts in phases.values()),
        "device": hardware.device_gigabytes or psutil.virtual_memory().total / GIB,
        "parameters": shape.parameters,
        "sequences": None if cache is None else int(cache * GIB * hardware.vllm.tensor_parallel // sequence),
    }


def _phases(shape: Shape, config: DictConfig) -> dict[str, dict[str, float]]:
    hardware, policy = config.hardware, config.policy
    if hardware.device == "cpu":
        copies = shape.parameters * BYTES_A_PARAMETER / GIB  # as preflight.py checks it
        return {"training": {"copies": copies, "processes": hardware.min_free_gigabytes}}
    vllm = _vllm(shape, hardware)
    if "actor_rollout_ref" in config:
        fused = config.actor_rollout_ref.model.use_fused_kernels
        return {
            "training": training(shape, hardware, policy, fused) | ({} if hardware.vllm.sleep else vllm),
            "transfer": transfer(shape, hardware),
            "rollout": _resident(shape, hardware) | vllm | {"processes": PROCESSES},
        }
    if "trainer" in config:
        return {"training": training(shape, hardware, policy)}
    return {"rollout": vllm | {"processes": PROCESSES}}


def training(shape: Shape, hardware: DictConfig, policy: DictConfig, fused_kernels: bool = False) -> dict[str, float]:
    """GiB on a device in the backward pass of a full micro-batch."""
    compute, tokens = BYTES[hardware.dtype], hardware.max_tokens_per_device
    trained = 0 if hardware.lora_rank else 1
    whole = shape.embedding * (compute + trained * (compute + 4)) + 2 * shape.layer * compute
    chunk = 512 * 16 if fused_kernels else tokens * 2 * compute
    state = _state(shape, hardware)
    return state | {
        "gradients": state["optimizer"] / 2,
        "gathered": whole / GIB,
        "activations": _activations(shape, hardware, policy) / GIB,
        "logits": chunk * shape.text["vocab_size"] / GIB,
        "processes": PROCESSES,
    }


def transfer(shape: Shape, hardware: DictConfig) -> dict[str, float]:
    """GiB on a device while vLLM gets the new weights; its cache is not there yet."""
    state = _resident(shape, hardware)
    if hardware.lora_rank:  # verl loads the base to read the adapters, and sends these alone
        largest, state["weights"] = 0, _state(shape, hardware)["weights"]
    else:
        largest = shape.embedding * BYTES[hardware.master_dtype] / GIB
    return state | {
        "vLLM weights": _vllm(shape, hardware)["vLLM weights"],
        "bucket": hardware.weight_bucket_megabytes / 1024 + largest,
        "processes": PROCESSES,
    }


def _state(shape: Shape, hardware: DictConfig) -> dict[str, float]:
    devices, adapters = hardware.nodes * hardware.devices_per_node, shape.adapters(hardware.lora_rank)
    share = BYTES[hardware.master_dtype] / devices / GIB
    trained = adapters or shape.parameters
    return {"weights": (shape.parameters + adapters) * share, "optimizer": 2 * trained * share}


def _resident(shape: Shape, hardware: DictConfig) -> dict[str, float]:
    """What the trainer leaves on the device while vLLM works."""
    offloaded = {"weights": hardware.offload.parameters, "optimizer": hardware.offload.optimizer}
    return {part: size for part, size in _state(shape, hardware).items() if not offloaded[part]}


def _activations(shape: Shape, hardware: DictConfig, policy: DictConfig) -> float:
    """Bytes kept for the backward pass, as if the micro-batch were nothing but the longest prompts."""
    compute, tokens, vision = BYTES[hardware.dtype], hardware.max_tokens_per_device, shape.vision
    visual = policy.max_pixels / (policy.patch * policy.merge) ** 2
    patches = tokens * min(1, visual / policy.max_prompt_length) * policy.merge**2

    def stack(sizes: dict, layers: int, factor: int) -> int:
        one = (factor * sizes["hidden_size"] + 8 * sizes["intermediate_size"]) * compute // 2
        return layers * sizes["hidden_size"] * compute + one if hardware.gradient_checkpointing else layers * one

    text = stack(shape.text, shape.text["num_hidden_layers"], DECODER_LAYER)
    return tokens * text + patches * stack(vision, vision["depth"], VISION_BLOCK)


def _vllm(shape: Shape, hardware: DictConfig) -> dict[str, float]:
    vllm = hardware.vllm
    weights = shape.parameters * BYTES[hardware.dtype] / vllm.tensor_parallel / GIB
    left = max(0.0, vllm.memory_fraction * hardware.device_gigabytes - weights)  # its own activations lie here too
    return {"vLLM weights": weights, "vLLM cache": left if vllm.kv_cache_bytes is None else vllm.kv_cache_bytes / GIB}
