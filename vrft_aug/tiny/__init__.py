"""The tiny policy, a Qwen2.5-VL of a million parameters that sees, reads and reasons. Imports nothing of verl.

Read in this order: tokenizer, model, scenes, lessons, encoding, batched, training, probes, build, shipped. Then its
sister, a Qwen3-VL: qwen3_vl, batched_qwen3, architectures, short_build.
"""
