"""Gradients from products in bfloat16, against those in float32: of layers, and of the actor's engine."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_rank import ENV
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.configs import compose
from vrft_aug.engine.cpu.bfloat16_gradients import SMALLEST, use

NAME = "VRFT_BFLOAT16_GRADIENTS"
COMPUTE = """
import sys
import torch, verl
from torch.distributed import HashStore, init_process_group
init_process_group("cpu:gloo", store=HashStore(), rank=0, world_size=1)
from fsdp_engines import compute, engine, rows
from vrft_aug.engine.cpu import bfloat16_gradients
from vrft_aug.tiny.shipped import FOLDER

bfloat16_gradients.SMALLEST = 64  # of the tiny policy's language model nearly all
bfloat16_gradients.is_fast = lambda: sys.argv[1] == "fast"
torch.save(compute(engine(FOLDER, "hardware=cpu"), rows(FOLDER)), sys.argv[2])
"""


def errors(exact: list[torch.Tensor], near: list[torch.Tensor]) -> list[float]:
    """The norm of each difference, as a share of the exact one's."""
    return [float((one - other).norm() / one.norm().clamp_min(1e-12)) for one, other in zip(exact, near, strict=True)]


def test_the_outputs_of_large_layers_are_the_same_and_gradients_nearly():
    torch.manual_seed(0)
    exact = torch.nn.Sequential(
        torch.nn.Linear(SMALLEST, 2 * SMALLEST), torch.nn.Linear(2 * SMALLEST, SMALLEST, bias=False),
        torch.nn.Linear(SMALLEST, 16, bias=False),  # too small
    )  # fmt: skip
    near = copy.deepcopy(exact)
    assert use(near) == ["0", "1"]
    inputs = torch.randn(3, 40, SMALLEST)
    found = []
    for model in (exact, near):
        begin = inputs.clone().requires_grad_()
        outputs = model(begin)
        outputs.square().sum().backward()
        found.append((outputs, [begin.grad, *(one.grad for one in model.parameters())]))
    assert torch.equal(found[0][0], found[1][0])
    assert all(one.dtype == torch.float32 for one in found[1][1])
    *large, last = errors(found[0][1], found[1][1])
    assert 1e-4 < max(large) < 0.01 and last == 0


def test_a_frozen_layer_gets_no_gradient_and_passes_one_on():
    layer = torch.nn.Linear(SMALLEST, SMALLEST).requires_grad_(False)
    assert use(layer) == [""]
    inputs = torch.randn(2, SMALLEST, requires_grad=True)
    layer(inputs).sum().backward()
    assert layer.weight.grad is None and layer.bias.grad is None
    torch.testing.assert_close(inputs.grad, layer.weight.sum(0).expand(2, -1), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_key_reaches_the_workers(wanted):
    hardware = compose("grpo", ["hardware=cpu", f"hardware.bfloat16_gradients={str(wanted).lower()}"]).hardware
    assert str(hardware.env[NAME]) == str(wanted)


def test_the_engines_log_probabilities_are_the_same_and_gradients_nearly(tmp_path: Path):
    def computed(processor: str, wanted: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        command = [sys.executable, "-c", COMPUTE, processor, str(tmp_path / "found.pt")]
        done = subprocess.run(command, env=ENV | {NAME: str(wanted)}, cwd=ROOT, capture_output=True,
                              text=True, timeout=600)  # fmt: skip
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        return torch.load(tmp_path / "found.pt", weights_only=True)

    (exact, gradients), (near, nearly) = computed("fast", wanted=False), computed("fast", wanted=True)
    assert torch.equal(exact, near) and gradients.keys() == nearly.keys()
    found = errors(list(gradients.values()), list(nearly.values()))
    assert 1e-4 < max(found) < 0.03
    assert all(map(torch.equal, gradients.values(), computed("slow", wanted=True)[1].values()))
