"""Adds to verl's settings of an FSDP engine what is frozen.

conf/grpo.yaml and conf/sft.yaml name the class as `_target_`, an extension point of verl. verl's own key,
`actor.freeze_vision_tower`, has no effect (verl issue 2526): no code of verl 0.9.1 reads it.
"""

from dataclasses import dataclass

from verl.workers.config import FSDPEngineConfig


@dataclass
class FreezingEngineConfig(FSDPEngineConfig):
    """verl's settings, and two more.

    freeze: one of engine/run/freezing.py's CHOICES. vllm_sleeps: vLLM drops its weights while the policy trains, so
    that it needs the frozen ones again after each step.
    """

    freeze: str = "none"
    vllm_sleeps: bool = True
