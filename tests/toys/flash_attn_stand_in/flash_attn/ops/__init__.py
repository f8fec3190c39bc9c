"""The part of flash-attn with kernels besides attention."""
