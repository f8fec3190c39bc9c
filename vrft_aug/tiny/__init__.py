"""Builds the tiny policy, a Qwen2.5-VL small enough for a laptop's CPU. Imports nothing of verl."""
