"""Registers FSDP engines for CUDA that keep in float32 what bfloat16 would spoil: rotary frequencies and adapters.

verl imports this module as `model.external_lib` (conf/hardware/gpu_2x80g.yaml). The engines of engine/cpu/fsdp.py do
the same. In a profile with `master_dtype: float32` it matters for the reference policy, whose dtype is bfloat16.
"""

import torch
from accelerate import init_empty_weights
from transformers import PreTrainedModel
from verl.workers.config import FSDPEngineConfig
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine, FSDPEngineWithLMHead

from vrft_aug.engine.verl.frozen_parts import FreezingFSDP


class PreciseFSDP(FSDPEngine):
    """verl's engine, with rotary frequencies and LoRA's adapters in float32."""

    engine_config: FSDPEngineConfig

    def _build_module(self) -> PreTrainedModel:
        """verl casts the whole module (transformer_impl.py:332), which rounds the rotary frequencies too. A rounded
        frequency turns a query 1000 tokens away by up to 1.15 radians more than vLLM's, which stays float32."""
        module = super()._build_module()
        restore_buffers(module)
        return module

    def _build_lora_module(self, module: PreTrainedModel) -> torch.nn.Module:
        """verl casts new adapters to the dtype of the base (transformer_impl.py:381). In bfloat16 an update below
        1/256 of a weight is lost. FSDP2 allows another dtype for what is trained; all of it still computes in `dtype`,
        and vLLM casts the adapters that it receives. FSDP1 would need one dtype."""
        adapted = super()._build_lora_module(module)
        if self.engine_config.strategy == "fsdp2":
            for weight in adapted.parameters():
                if weight.requires_grad:
                    weight.data = weight.data.float()
        return adapted


def restore_buffers(module: PreTrainedModel) -> None:
    """Replace each buffer that no checkpoint holds, and that has been rounded, by the one that the model is built with.

    For this the model is built again from its config, with parameters that use no memory.
    """
    saved = module.state_dict().keys()
    rounded = {name for name, buffer in module.named_buffers()
               if name not in saved and buffer.is_floating_point() and buffer.dtype != torch.float32}  # fmt: skip
    if not rounded:
        return
    with init_empty_weights():
        built = dict(type(module)(module.config).named_buffers())
    for name in rounded:
        owner, _, attribute = name.rpartition(".")
        device = module.get_buffer(name).device
        module.get_submodule(owner).register_buffer(attribute, built[name].to(device), persistent=False)


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cuda", vendor="nvidia")
class CudaFSDPEngine(FreezingFSDP, PreciseFSDP, FSDPEngineWithLMHead):
    """Engine of the actor, the reference policy and SFT. verl's own is registered for CUDA without a vendor."""
