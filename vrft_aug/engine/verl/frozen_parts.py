"""Subclasses verl's FSDP engine: frozen weights get no gradient, have no place in the optimizer, and reach vLLM once.

precision.py and engine/cpu/fsdp.py register the engine with verl. What is frozen is `engine_config.freeze`
(engine_config.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from verl.workers.config.optimizer import build_optimizer
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

from vrft_aug.engine.run.freezing import TOWER, is_frozen
from vrft_aug.engine.verl.engine_config import FreezingEngineConfig

PATCHES = f"{TOWER}.patch_embed"  # the module that embeds an image's patches


class FreezingFSDP(FSDPEngine):
    """verl's engine. With `freeze: none` nothing is different."""

    engine_config: FreezingEngineConfig
    _vllm_has_frozen = False  # whether vLLM has received the frozen weights, and keeps them

    def _build_module(self) -> PreTrainedModel:
        """Freeze before FSDP2 wraps the module: it allocates gradients by what each weight says at that time."""
        module = super()._build_module()
        freeze(module, self.engine_config.freeze)
        return module

    def _build_lora_module(self, module: PreTrainedModel) -> torch.nn.Module:
        """An adapter inside a frozen part is frozen too: it starts as zero, so the part stays as it is."""
        adapted = super()._build_lora_module(module)
        freeze(adapted, self.engine_config.freeze)
        end_gradients_at_patches(adapted, self.engine_config.freeze)
        return adapted

    def _build_optimizer(self, module: torch.nn.Module) -> torch.optim.Optimizer:
        """verl (transformer_impl.py:499) hands over all weights, and each pass over them would meet the frozen ones.

        With `freeze: none` it still does, also with LoRA: a checkpoint's optimizer lists them.
        """
        if self.engine_config.freeze == "none":
            return super()._build_optimizer(module)
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        return build_optimizer(trained, self.optimizer_config)

    def get_per_tensor_param(self, layered_summon: bool = False, base_sync_done: bool = False, **more: Any) -> Any:
        """Name and whole tensor of each weight for vLLM; with LoRA, verl sends the adapters alone.

        vLLM gets the frozen weights once, unless it sleeps between two steps: then verl uses level 2, which drops all
        weights. verl sets `base_sync_done` where trainer and vLLM share the devices; elsewhere everything is sent.
        """
        spare = base_sync_done and self._vllm_has_frozen and not self._is_lora
        with _left_out(self.module, self.engine_config.freeze if spare else "none"):
            sent = super().get_per_tensor_param(layered_summon=layered_summon, base_sync_done=base_sync_done, **more)
        self._vllm_has_frozen = base_sync_done and not self.engine_config.vllm_sleeps
        return sent


def freeze(module: torch.nn.Module, what: str) -> None:
    """Freeze a part of a policy, or of a policy with adapters, in place. what: one of freezing.py's CHOICES.

    Raises ValueError if nothing is left to train.
    """
    if what == "none":
        return
    for name, weight in module.named_parameters():
        if is_frozen(name, what):
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in module.parameters()):
        raise ValueError(f"freeze={what}: no weight of the policy is left to train")


def end_gradients_at_patches(module: torch.nn.Module, what: str) -> None:
    """Let no gradient be wanted for the patches of a frozen tower, in place.

    With LoRA, transformers lets the output of every embedding want a gradient (modeling_utils.py:2250), also that of
    the patches. Autograd would keep each activation of the frozen tower, and go back through it for nothing.
    """
    for name, part in module.named_modules():
        if name.endswith(PATCHES) and is_frozen(name, what):
            part.register_forward_hook(lambda embedding, inputs, output: output.detach())


@contextmanager
def _left_out(module: torch.nn.Module, what: str) -> Iterator[None]:
    """Leave the frozen weights out of `module.state_dict()`, so that nobody gathers them from all ranks."""

    def drop(module: torch.nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        for name in [name for name in state if is_frozen(name, what)]:
            del state[name]

    handle = module.register_state_dict_post_hook(drop)
    try:
        yield
    finally:
        handle.remove()
