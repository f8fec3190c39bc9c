"""Patches verl where it is imported: in the driver, in Ray's workers and in vLLM's processes (entry `verl.plugins`)."""

from vrft_aug.engine.cpu import platform
from vrft_aug.engine.verl import patches

patches.apply_verl(on_cpu=platform.chosen())
