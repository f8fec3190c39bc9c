"""The tiny policy, a Qwen2.5-VL of a million parameters that sees, reads and reasons. Imports nothing of verl.

Read in this order: tokenizer, model, scenes, lessons, encoding, batched, training, probes, build, shipped.
"""
