"""verl's FSDP engines for device `cpu`, registered when verl imports `model.external_lib=vrft_aug.engine.cpu.fsdp`."""

import dataclasses

import torch
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead, FSDPEngineWithValueHead

from vrft_aug.engine import patches
from vrft_aug.errors import InputError

patches.apply_cpu_engine()


class _OnCpu:
    """Shards parameters with FSDP2 over gloo; what differs from verl's engine is where a reference policy lives."""

    def _build_fsdp_module(self, module: torch.nn.Module) -> torch.nn.Module:
        """Wrap `module` without CPU off-loading.

        verl (transformer_impl.py:457-460) wraps a forward-only engine in `CPUOffloadPolicy(pin_memory=True)`; its
        parameters are on the CPU already, and pinning memory needs an accelerator's driver.
        """
        config = self.engine_config
        if config.strategy != "fsdp2":
            raise InputError(
                f"strategy={config.strategy} cannot run on a CPU (torch refuses sync_module_states for CPU tensors): "
                "set actor_rollout_ref.actor.strategy=fsdp2, or engine.strategy=fsdp2 in sft.py"
            )
        self.engine_config = dataclasses.replace(config, forward_only=False)
        try:
            return super()._build_fsdp_module(module)
        finally:
            self.engine_config = config


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngine(_OnCpu, FSDPEngineWithLMHead):
    """Actor, reference policy and SFT."""


@EngineRegistry.register(model_type="value_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPValueEngine(_OnCpu, FSDPEngineWithValueHead):
    """Critic."""
