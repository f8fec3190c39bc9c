"""Checks that logits of the answers alone give the same log-probabilities, entropies and gradients as all logits."""

import json
import subprocess
import sys

import pytest
import torch
from one_rank import ENV
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from vrft_aug.engine.cpu.answer_logits import leave_out, lengthened, shortened

COMPARE = """
import json
import torch, verl
from torch.distributed import HashStore, init_process_group
init_process_group("cpu:gloo", store=HashStore(), rank=0, world_size=1)
from fsdp_engines import ANSWER, engine, nested, rows
from verl.utils import tensordict_utils as tu
from vrft_aug.engine.cpu import answer_logits
from vrft_aug.tiny.shipped import FOLDER

policy = engine(FOLDER, "hardware=cpu")
computed, counted, all_rows = [], answer_logits.unread_tokens, []
policy.module.lm_head.register_forward_hook(lambda _, inputs, logits: computed.append(logits.shape[:2].numel()))

def loss(model_output, data, dp_group):
    read = data["weights"].values()
    return -((model_output["log_probs"].values() + model_output["entropy"].values()) * read).sum(), {}

def compute(which, budget, **settings):
    data = rows(FOLDER, which)
    tokens = data["input_ids"].unbind()
    prompts = [one[: len(one) - 12] for one in tokens]
    data["prompts"] = nested(prompts)
    weights = [one.clone() for one in data["weights"].unbind()]
    for weight, prompt in zip(weights, prompts):
        weight[: len(prompt) - 1] = 0  # the last token of a prompt predicts the answer's first
    data["weights"] = nested(weights)
    tu.assign_non_tensor(data, use_remove_padding=False, use_fused_kernels=False, temperature=0.9,
                         calculate_entropy=True, use_dynamic_bsz=True, max_token_len_per_gpu=budget,
                         return_model_output=True, **settings)
    computed.clear()
    with policy.train_mode():
        output = policy.forward_backward_batch(data, loss)["model_output"]
        gradients = {name: one.grad.full_tensor().clone() for name, one in policy.module.named_parameters()
                     if one.grad is not None}
    read = data["weights"].values() != 0
    return [output[name].values()[read] for name in ("log_probs", "entropy")], gradients, sum(computed)

found = {}
for name, which, budget in (("alike", [0, 0, 4, 4], 4096), ("different", [0, 1, 2, 3], 4096), ("parts", range(5), 256)):
    answer_logits.unread_tokens = counted
    short = compute(which, budget)
    answer_logits.unread_tokens = lambda _: 0
    whole = compute(which, budget)
    largest = max(float(one.abs().max()) for one in whole[1].values())
    found[name] = {
        "values": [float((a - b).abs().max()) for a, b in zip(short[0], whole[0])], "places": len(short[0][0]),
        "gradients": max(float((short[1][key] - whole[1][key]).abs().max()) for key in whole[1]) / largest,
        "same parameters": short[1].keys() == whole[1].keys(), "logits": [short[2], whole[2]],
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> dict:
    command = [sys.executable, "-c", COMPARE]
    done = subprocess.run(command, env=ENV, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("batch", ["alike", "different", "parts"])
def test_what_is_read_is_the_same_from_fewer_logits(compared, batch):
    """In float32; sums have another order only where a matrix has another number of rows."""
    found = compared[batch]
    assert found["places"] >= 4 * 11 and found["same parameters"]
    assert max(found["values"]) < 2e-5 and found["gradients"] < 2e-5
    short, whole = found["logits"]
    assert short < (0.5 if batch == "alike" else 0.95) * whole


def nested(*rows: list[int]) -> torch.Tensor:
    return torch.nested.as_nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)


def test_rows_lose_their_first_tokens_and_get_zeros_in_their_place():
    whole = nested([1, 2, 3, 4], [5, 6, 7])
    short, labels = shortened(whole, torch.arange(7), unread=2)
    assert [row.tolist() for row in short.unbind()] == [[3, 4], [7]]
    assert labels.tolist() == [2, 3, 6]
    values = nested([0.5, 0.25], [0.125])
    found = lengthened({"log_probs": values}, whole.offsets(), unread=2)["log_probs"]
    assert [row.tolist() for row in found.unbind()] == [[0, 0, 0.5, 0.25], [0, 0, 0.125]]


def test_the_head_computes_the_rest_only():
    head, unread = torch.nn.Linear(2, 3), [0]
    hidden, whole = torch.rand(4, 5, 2), head.forward
    leave_out(head, lambda: unread[0])
    assert torch.equal(head(hidden), whole(hidden))
    unread[0] = 3
    torch.testing.assert_close(head(hidden), whole(hidden)[:, 3:])
