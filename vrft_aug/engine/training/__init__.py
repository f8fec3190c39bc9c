"""Trains by SFT or GRPO with verl: checkpoints, the exported policy, its model card."""
