"""Gradients from products in bfloat16, against those in float32."""

import copy

import pytest
import torch

from vrft_aug.engine.cpu.bfloat16_gradients import SMALLEST, use


@pytest.fixture
def layers() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(SMALLEST, 2 * SMALLEST), torch.nn.Linear(2 * SMALLEST, SMALLEST, bias=False),
        torch.nn.Linear(SMALLEST, 16, bias=False),  # too small
    )  # fmt: skip


def gradients(model: torch.nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Outputs; gradients of the inputs and of all parameters that are trained."""
    inputs = inputs.clone().requires_grad_()
    outputs = model(inputs)
    outputs.square().sum().backward()
    return outputs, [inputs.grad, *(one.grad for one in model.parameters() if one.requires_grad)]


def test_outputs_are_the_same_and_gradients_nearly(layers):
    changed = copy.deepcopy(layers)
    assert use(changed) == ["0", "1"]
    inputs = torch.randn(3, 40, SMALLEST)
    (outputs, exact), (same, near) = gradients(layers, inputs), gradients(changed, inputs)
    assert torch.equal(outputs, same)
    errors = [float((a - b).norm() / a.norm()) for a, b in zip(exact, near, strict=True)]
    assert max(errors) < 0.01 and all(one.dtype == torch.float32 for one in near)
    assert min(errors[:2]) > 1e-4  # so bfloat16 took part
    assert torch.equal(exact[-1], near[-1])  # of the small layer
