"""Computes the gradients of large linear layers from products in bfloat16, on processors that multiply bfloat16.

Such a product is several times as fast as one in float32 (benchmarks/arithmetic.py). The forward pass, and with it
every log-probability, stays in float32, in which vLLM and the actor agree. bfloat16 keeps 8 significant bits of each
factor, and the processor adds up in float32: a gradient is off by less than a hundredth of its norm, at random. It
varies by far more between samples.
"""

from functools import partial
from typing import Any

import torch
from torch.nn import Linear
from torch.nn.functional import linear

SMALLEST = 512  # features on both sides of a layer, below which conversions take longer than they save


class _Product(torch.autograd.Function):
    """y = x Wᵀ + b, x (..., features in), W (features out, features in), b (features out) or None."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        return linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """dL/dx = g W, dL/dW = gᵀ x, dL/db = the sum of g over the rows."""
        inputs, weight = ctx.saved_tensors
        wanted, (grad,) = ctx.needs_input_grad, grads
        rows = grad.flatten(0, -2)
        short = rows.bfloat16()
        of_inputs = (short @ weight.bfloat16()).to(grad.dtype).view_as(inputs) if wanted[0] else None
        of_weight = (short.T @ inputs.flatten(0, -2).bfloat16()).to(grad.dtype) if wanted[1] else None
        return of_inputs, of_weight, rows.sum(0) if wanted[2] else None


def is_fast() -> bool:
    """Whether the processor multiplies bfloat16; elsewhere it is emulated."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def use(policy: torch.nn.Module) -> list[str]:
    """Give the policy's large linear layers a forward whose gradients are as above; return their names."""
    large = {name: layer for name, layer in policy.named_modules()
             if isinstance(layer, Linear) and min(layer.in_features, layer.out_features) >= SMALLEST}  # fmt: skip
    for layer in large.values():
        layer.forward = partial(_forward, layer)
    return list(large)


def _forward(layer: Linear, inputs: torch.Tensor) -> torch.Tensor:
    return _Product.apply(inputs, layer.weight, layer.bias)
