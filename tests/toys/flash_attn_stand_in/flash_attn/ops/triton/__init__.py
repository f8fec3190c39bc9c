"""flash-attn's kernels in Triton."""
