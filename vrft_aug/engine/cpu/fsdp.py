"""Registers FSDP engines for device `cpu` with verl, which imports this module as `model.external_lib`."""

import dataclasses
import os
from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.config import FSDPEngineConfig
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine, FSDPEngineWithLMHead, FSDPEngineWithValueHead

from vrft_aug.engine.cpu.prompt_sharing import samples_together, share_prompts
from vrft_aug.engine.verl import patches
from vrft_aug.engine.verl.frozen_parts import FreezingFSDP
from vrft_aug.engine.verl.precision import PreciseFSDP
from vrft_aug.errors import InputError

patches.apply_cpu_engine()

SHARE = "VRFT_SHARE_PROMPTS"  # environment variable (conf/hardware/cpu.yaml): `True` shares prompts


class _OnCpu(FSDPEngine):
    """Shards parameters with FSDP2 over gloo. It differs from verl's engine only for a reference policy."""

    engine_config: FSDPEngineConfig

    def _build_fsdp_module(self, module: torch.nn.Module) -> torch.nn.Module:
        """Wrap `module` without CPU offloading. Raises InputError for a strategy other than fsdp2.

        verl (transformer_impl.py:457-460) wraps a forward-only engine in `CPUOffloadPolicy(pin_memory=True)`. Here the
        parameters are on the CPU already, and pinning memory needs an accelerator's driver.
        """
        config = self.engine_config
        if config.strategy != "fsdp2":
            why = f"strategy={config.strategy} cannot run on a CPU (torch refuses sync_module_states for CPU tensors)"
            raise InputError(f"{why}: set actor_rollout_ref.actor.strategy=fsdp2, or engine.strategy=fsdp2 in sft.py")
        self.engine_config = dataclasses.replace(config, forward_only=False)
        try:
            return super()._build_fsdp_module(module)
        finally:
            self.engine_config = config


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngine(_OnCpu, FreezingFSDP, PreciseFSDP, FSDPEngineWithLMHead):
    """Engine of the actor, the reference policy and SFT. Samples of a prompt can share its computation."""

    def _build_module(self) -> torch.nn.Module:
        module = super()._build_module()
        self._sharing = share_prompts(module) if os.environ.get(SHARE) == "True" else None
        return module

    def forward_backward_batch(self, data: TensorDict, *args: Any, **kwargs: Any) -> Any:
        if self._sharing:
            self._samples = self._samples_together(data)
            tu.assign_non_tensor(data, force_group_size=self._samples)
        return super().forward_backward_batch(data, *args, **kwargs)

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict, dict]:
        inputs, outputs = super().prepare_model_inputs(micro_batch)
        if self._sharing:
            self._sharing.samples = 1
            if self._samples > 1:
                self._sharing.look(inputs, self._samples, int(micro_batch["prompts"].offsets().diff().min()))
        return inputs, outputs

    def _samples_together(self, data: TensorDict) -> int:
        """How many samples of a prompt share a micro-batch. 1 on several devices: verl spreads rows without regard to
        their prompts; and 1 for rows that are no rollout."""
        is_rollout = "uid" in data and "prompts" in data
        is_padded = not tu.get_non_tensor_data(data, "use_remove_padding", True)
        is_split_by_tokens = tu.get_non_tensor_data(data, "use_dynamic_bsz", True)
        keeps_cache = not self.model_config.enable_gradient_checkpointing
        if not (is_rollout and is_padded and is_split_by_tokens and keeps_cache) or self.get_data_parallel_size() > 1:
            return 1
        lengths = data["input_ids"].offsets().diff()
        return samples_together(list(data["uid"]), lengths, data["max_token_len_per_gpu"])


@EngineRegistry.register(model_type="value_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPValueEngine(_OnCpu, FSDPEngineWithValueHead):
    """Engine of a critic."""
