"""verl's entry point `verl.plugins`: imported by verl in the driver, in Ray's workers and in vLLM's processes."""

from vrft_aug.engine import patches
from vrft_aug.engine.cpu import platform

patches.apply_verl(on_cpu=platform.chosen())
