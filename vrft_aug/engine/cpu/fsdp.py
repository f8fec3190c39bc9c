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

from vrft_aug.engine.cpu import answer_logits, bfloat16_gradients
from vrft_aug.engine.cpu.prompt_sharing import samples_together, share_prompts, whole_tokens
from vrft_aug.engine.verl import patches
from vrft_aug.engine.verl.frozen_parts import FreezingFSDP
from vrft_aug.engine.verl.precision import PreciseFSDP
from vrft_aug.errors import InputError

patches.apply_cpu_engine()

BUDGET = "max_token_len_per_gpu"  # verl's name of the number of tokens of a micro-batch
# Environment variables, `True` or `False` (conf/hardware/cpu.yaml)
SHARE = "VRFT_SHARE_PROMPTS"
BFLOAT16_GRADIENTS = "VRFT_BFLOAT16_GRADIENTS"


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

    _unread = 0  # first tokens of each row of the micro-batch whose logits nobody reads

    def _build_module(self) -> torch.nn.Module:
        module = super()._build_module()
        if os.environ.get(BFLOAT16_GRADIENTS) == "True" and bfloat16_gradients.is_fast():
            bfloat16_gradients.use(module)
        answer_logits.leave_out(module.get_output_embeddings(), lambda: self._unread)
        self._sharing = share_prompts(module) if os.environ.get(SHARE) == "True" else None
        return module

    def forward_backward_batch(self, data: TensorDict, *args: Any, **kwargs: Any) -> Any:
        self._samples = 1
        if not (self._sharing and self._may_share(data)):
            return super().forward_backward_batch(data, *args, **kwargs)
        budget = data[BUDGET]
        lengths, prompts = (data[name].offsets().diff() for name in ("input_ids", "prompts"))
        shared = int(prompts.min())
        self._samples = self._agreed(samples_together(list(data["uid"]), lengths, shared, budget))
        whole = whole_tokens(lengths, self._samples, shared, budget)
        tu.assign_non_tensor(data, force_group_size=self._samples, **{BUDGET: whole})
        found = super().forward_backward_batch(data, *args, **kwargs)
        tu.assign_non_tensor(data, **{BUDGET: budget})  # the next epoch has the same data
        return found

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict, dict]:
        inputs, outputs = super().prepare_model_inputs(micro_batch)
        self._unread = answer_logits.unread_tokens(micro_batch)
        if self._sharing:
            self._sharing.samples = 1
            if self._samples > 1:
                self._sharing.look(inputs, self._samples, int(micro_batch["prompts"].offsets().diff().min()))
        return inputs, outputs

    def prepare_model_outputs(
        self, output: Any, output_args: dict[str, Any], micro_batch: TensorDict, logits_processor_func: Any
    ) -> dict[str, Any]:
        if not self._unread:
            return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        whole, labels = micro_batch["input_ids"], "input_ids_rmpad_rolled"
        micro_batch["input_ids"], output_args[labels] = answer_logits.shortened(
            whole, output_args[labels], self._unread
        )
        found = super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        micro_batch["input_ids"] = whole
        return answer_logits.lengthened(found, whole.offsets(), self._unread)

    def _may_share(self, data: TensorDict) -> bool:
        """Whether samples of a prompt can share a micro-batch: only of a rollout, which verl splits by its tokens."""
        is_rollout = "uid" in data and "prompts" in data
        is_padded = not tu.get_non_tensor_data(data, "use_remove_padding", True)
        is_split_by_tokens = tu.get_non_tensor_data(data, "use_dynamic_bsz", True)
        return is_rollout and is_padded and is_split_by_tokens and not self.model_config.enable_gradient_checkpointing

    def _agreed(self, samples: int) -> int:
        """The smallest number of all devices: verl gives each of them as many micro-batches as the others."""
        number = torch.tensor(samples)
        torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MIN, self.get_data_parallel_group())
        return int(number)


@EngineRegistry.register(model_type="value_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPValueEngine(_OnCpu, FSDPEngineWithValueHead):
    """Engine of a critic."""
