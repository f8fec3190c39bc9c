"""Estimates by formula the GiB of memory that a run needs on each device; nobody has measured it on a GPU yet.

N devices; P parameters, Q of them trained (those that `freeze` leaves, or LoRA's adapters), w bytes each
(`master_dtype`; adapters: 4); c bytes per number in a computation (`dtype`); T tokens in a full micro-batch
(`max_tokens_per_device`); V vocabulary, h hidden, L layers.

    training  weights      w (P + adapters) / N     FSDP2 shards every parameter
              gradients    w Q / N                  reduced after every micro-batch, verl's default
              optimizer    2 w Q / N                AdamW's two moments
              gathered     what FSDP2 holds whole: embedding and two layers, or with `reshard_after_forward: false` all
                           parameters; and the embedding's gradient in c and float32
              activations  T (c h L + one layer's), and the same for the image patches, with gradient checkpointing;
                           none of a vision tower that `freeze` holds, through which no gradient flows
              logits       2 c T V                  the head's output and its quotient by the temperature; the gradient
                                                    replaces them in place (flash-attn's cross entropy). With verl's
                                                    fused kernels: chunks of 512 tokens, four times in float32
    transfer  the weights and the optimizer where they are not off-loaded (LoRA's weights are loaded for the transfer),
              vLLM's weights, the bucket, the largest tensor whole
    rollout   the same training state, and vLLM's share: `memory_fraction` of the device
    always    the two processes: CUDA contexts, NCCL, workspaces, CUDA graphs. We assume 2 GiB.

The frozen reference policy adds nothing: it is in host memory and comes to the device layer by layer, or it is LoRA's
own base. Not counted: gaps in the allocator's memory, the images' own tensors, and the work of vLLM's vision tower, for
which vLLM reserves nothing here (`skip_mm_profiling`).
"""

from typing import Any, NamedTuple

import psutil
from omegaconf import DictConfig

from vrft_aug.data.settings import Policy
from vrft_aug.engine.run.freezing import TOWER, is_frozen
from vrft_aug.engine.run.preflight import BYTES_A_PARAMETER, BYTES_A_TRAINED_PARAMETER, GIB
from vrft_aug.experiments.model_size import Model, cached_numbers, count, count_adapters, count_frozen, find, is_tied

BYTES = {"float32": 4, "bfloat16": 2}
ADAPTER_BYTES = 4  # LoRA's adapters are float32, whatever the base is (engine/verl/precision.py)
PROCESSES = 2.0  # GiB, assumed


class Saved(NamedTuple):
    """Bytes per token that a layer saves in bfloat16: these factors times its width, the width of its queries, keys and
    values together, and its MLP's inner width."""

    width: int
    heads: int
    inner: int


# By the model_type of the config; an architecture that is not here counts as a Qwen2.5-VL.
LAYERS = {
    "qwen2_5_vl_text": Saved(21, 0, 8),
    "qwen2_5_vl_vision": Saved(31, 0, 8),
    "qwen3_vl_text": Saved(16, 10, 8),  # queries and keys are normalised in float32
    "qwen3_vl_vision": Saved(22, 0, 4),
}


class Estimate(NamedTuple):
    """GiB per phase (training, transfer, rollout) and part; GiB of the largest phase and of the device. sequences: how
    many of full length fit into vLLM's cache; 0: vLLM does not start; None: there is no vLLM."""

    phases: dict[str, dict[str, float]]
    peak: float
    device: float
    sequences: int | None


def estimate(config: DictConfig) -> Estimate | None:
    """The memory of a worker, by a config of grpo.yaml, sft.yaml or evaluate.yaml. None: a policy of unknown size."""
    hardware, policy = config.hardware, Policy.of(config.policy)
    if (model := find(policy)) is None:
        return None
    phases = _phases(model, config, policy)
    peak = max(sum(parts.values()) for parts in phases.values())
    sequence = cached_numbers(model) * BYTES[hardware.dtype] * policy.max_length / GIB
    cache = phases.get("rollout", {}).get("vLLM cache")
    sequences = None if cache is None else int(cache * hardware.vllm.tensor_parallel // sequence)
    return Estimate(phases, peak, hardware.device_gigabytes or psutil.virtual_memory().total / GIB, sequences)


def _phases(model: Model, config: DictConfig, policy: Policy) -> dict[str, dict[str, float]]:
    hardware, freeze = config.hardware, config.get("freeze", "none")
    if hardware.device == "cpu":
        spared = count_frozen(model, freeze) * BYTES_A_TRAINED_PARAMETER
        copies = (count(model) * BYTES_A_PARAMETER - spared) / GIB  # as preflight.py checks it
        return {"training": {"copies": copies, "processes": hardware.min_free_gigabytes}}
    vllm = _vllm(model, hardware)
    images = config.dataset.get("images", 1)
    if "actor_rollout_ref" in config:
        return {
            "training": training(model, hardware, policy, images, freeze) | ({} if hardware.vllm.sleep else vllm),
            "transfer": transfer(model, hardware, freeze),
            "rollout": _resident(model, hardware, freeze) | vllm | {"processes": PROCESSES},
        }
    if "trainer" in config:
        return {"training": training(model, hardware, policy, images, freeze)}
    return {"rollout": vllm | {"processes": PROCESSES}}


def training(
    model: Model, hardware: DictConfig, policy: Policy, images: int = 1, freeze: str = "none"
) -> dict[str, float]:
    """GiB per part on a device, in the backward pass of a full micro-batch.

    images: most per prompt. freeze: the key of grpo.yaml.
    """
    compute, tokens = BYTES[hardware.dtype], hardware.max_tokens_per_device
    embedding, layer = model.get_input_embeddings(), max(map(count, model.get_decoder().layers))
    held = count(embedding) + 2 * layer if hardware.reshard_after_forward else count(model)
    learns = not hardware.lora_rank and freeze != "language"  # the embedding
    whole = held * compute + (count(embedding) * (compute + 4) if learns else 0)
    fused = hardware.use_fused_kernels and is_tied(model)
    chunk = 512 * 16 if fused else tokens * 2 * compute
    state = _state(model, hardware, freeze)
    return state | {
        "gradients": state["optimizer"] / 2,
        "gathered": whole / GIB,
        "activations": _activations(model, hardware, policy, images, freeze) / GIB,
        "logits": chunk * len(embedding.weight) / GIB,
        "processes": PROCESSES,
    }


def transfer(model: Model, hardware: DictConfig, freeze: str = "none") -> dict[str, float]:
    """GiB per part on a device while vLLM gets the new weights; vLLM has no cache at that moment."""
    state = _resident(model, hardware, freeze)
    if hardware.lora_rank:  # verl loads the base to read the adapters, and sends only the adapters
        largest, state["weights"] = 0.0, _state(model, hardware, freeze)["weights"]
    else:
        largest = count(model.get_input_embeddings()) * BYTES[hardware.master_dtype] / GIB
    return state | {
        "vLLM weights": _vllm(model, hardware)["vLLM weights"],
        "bucket": hardware.weight_bucket_megabytes / 1024 + largest,
        "processes": PROCESSES,
    }


def _state(model: Model, hardware: DictConfig, freeze: str) -> dict[str, float]:
    devices, adapters = hardware.nodes * hardware.devices_per_node, count_adapters(model, hardware.lora_rank)
    base = count(model) * BYTES[hardware.master_dtype]
    trained = adapters * ADAPTER_BYTES or base - count_frozen(model, freeze) * BYTES[hardware.master_dtype]
    return {"weights": (base + adapters * ADAPTER_BYTES) / devices / GIB, "optimizer": 2 * trained / devices / GIB}


def _resident(model: Model, hardware: DictConfig, freeze: str) -> dict[str, float]:
    """What stays on the device while vLLM works."""
    offloaded = {"weights": hardware.offload.parameters, "optimizer": hardware.offload.optimizer}
    return {part: size for part, size in _state(model, hardware, freeze).items() if not offloaded[part]}


def _activations(model: Model, hardware: DictConfig, policy: Policy, images: int, freeze: str) -> float:
    """Bytes saved for the backward pass of a micro-batch that holds only the longest prompts."""
    compute, tokens = BYTES[hardware.dtype], hardware.max_tokens_per_device
    visual = images * policy.max_pixels / (policy.patch * policy.merge) ** 2
    patches = tokens * min(1, visual / (policy.max_prompt_length or visual)) * policy.merge**2

    def saved(sizes: Any, default: str) -> int:
        layers, width = getattr(sizes, "depth", None) or sizes.num_hidden_layers, sizes.hidden_size
        one = layer_bytes(sizes, default) * compute // 2
        return layers * width * compute + one if hardware.gradient_checkpointing else layers * one

    text, vision = model.config.get_text_config(), model.config.vision_config
    seen = 0 if is_frozen(TOWER, freeze) else patches * saved(vision, "qwen2_5_vl_vision")
    return tokens * saved(text, "qwen2_5_vl_text") + seen


def layer_bytes(sizes: Any, default: str) -> int:
    """Bytes per token that a layer saves in bfloat16. sizes: the config of text or vision. default: in LAYERS."""
    width, factors = sizes.hidden_size, LAYERS.get(sizes.model_type, LAYERS[default])
    inner = getattr(sizes, "intermediate_size", None) or 4 * width  # a guess for a mixture of experts
    heads = (sizes.num_attention_heads + sizes.num_key_value_heads) * sizes.head_dim if factors.heads else 0
    return factors.width * width + factors.heads * heads + factors.inner * inner


def _vllm(model: Model, hardware: DictConfig) -> dict[str, float]:
    vllm = hardware.vllm
    weights = count(model) * BYTES[hardware.dtype] / vllm.tensor_parallel / GIB
    left = max(0.0, vllm.memory_fraction * hardware.device_gigabytes - weights)  # vLLM's activations are here too
    return {"vLLM weights": weights, "vLLM cache": left if vllm.kv_cache_bytes is None else vllm.kv_cache_bytes / GIB}
