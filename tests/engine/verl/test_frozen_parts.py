"""A frozen part of the policy stays bit-identical in verl's engine, gets no memory for gradients, and is sent once."""

import json
import subprocess
import sys

import pytest
from one_rank import ENV
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import torch

from vrft_aug.engine.run.freezing import is_frozen
from vrft_aug.engine.verl.frozen_parts import freeze

SCRIPT = str(ROOT / "tests" / "toys" / "train_frozen.py")
FULL = {"vision:0": 0, "vision+merger:0": 0, "language:0": 0}
ADAPTERS = {"vision:8": 8, "vision+merger:8": 8}
PARTS = [*FULL, *ADAPTERS]


def trained_by(*command: str) -> dict[str, dict]:
    done = subprocess.run([sys.executable, *command], env=ENV, cwd=ROOT, capture_output=True, text=True,
                          timeout=1500, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> dict[str, dict]:
    """Facts about one step for each `<freeze>:<LoRA rank>`."""
    return trained_by(SCRIPT, str(tmp_path_factory.mktemp("frozen")), "none:0", *FULL, "none:8", *ADAPTERS)


@pytest.mark.parametrize("case", ["none:0", "none:8", *PARTS])
def test_what_is_frozen_stays_bit_identical_and_all_else_moves(steps, case):
    found = steps[case]
    assert found["of_frozen_parts"] == []
    assert found["moved"] == found["trained"] == found["gradients"] != []


@pytest.mark.parametrize("case", FULL)
def test_exactly_the_frozen_weights_have_stopped(steps, case):
    every = steps["none:0"]["trained"]
    assert steps[case]["trained"] == [name for name in every if not is_frozen(name, case.partition(":")[0])]


@pytest.mark.parametrize("case", PARTS)
def test_the_others_get_the_same_gradients(steps, case):
    assert steps[case]["gradient_error"] < 1e-4


@pytest.mark.parametrize("case", FULL)
def test_gradients_of_frozen_weights_are_never_allocated(steps, case):
    """What a backward pass leaves are the gradients; and nothing of a frozen matrix's shape comes up in between."""
    free, frozen, part = steps["none:0"], steps[case], "language" if case == "language:0" else "vision"
    assert free["live"] - frozen["live"] == free["trained_bytes"] - frozen["trained_bytes"] > 0
    assert free["allocated_like"][part] and not frozen["allocated_like"][part]
    assert free["peak"] - frozen["peak"] >= free["trained_bytes"] - frozen["trained_bytes"] or part == "language"


@pytest.mark.parametrize("case", ADAPTERS)
def test_with_adapters_a_frozen_tower_keeps_no_activations(steps, case):
    """Its gradients were not there before; what was kept, to go back through the tower, is not there either."""
    assert not steps[case]["allocated_like"]["vision"]
    assert steps[case]["live"] == steps["none:8"]["live"]
    assert steps[case]["peak"] < steps["none:8"]["peak"]


@pytest.mark.parametrize("case", ["none:0", *PARTS])
def test_the_optimizer_knows_only_what_is_trained(steps, case):
    found = steps[case]
    assert found["in_optimizer"] == len(found["trained"])
    assert found["moment_bytes"] == 2 * found["trained_bytes"]


@pytest.mark.parametrize("case", FULL)
def test_frozen_weights_are_sent_once(steps, case):
    first, second = steps[case]["sent"]
    assert sorted(first) == sorted(steps["none:0"]["sent"][0])
    assert second == [name for name in first if not is_frozen(name, case.partition(":")[0])] != []


def test_vllm_that_drops_its_weights_gets_all_of_them_again(steps):
    assert steps["none:0"]["sent"][0] == steps["none:0"]["sent"][1]
    asleep, elsewhere = steps["vision:0"]["sent_asleep"], steps["vision:0"]["sent_elsewhere"]
    assert asleep == elsewhere == steps["none:0"]["sent"][0]


@pytest.mark.parametrize("case", PARTS)
def test_the_exported_policy_has_all_weights_and_the_frozen_ones_as_they_were(steps, case):
    assert steps[case]["exported"]["names"] and steps[case]["exported"]["changed"]
    assert steps[case]["exported"]["frozen_changed"] == []


def test_a_checkpoint_resumes(steps):
    assert steps["vision:0"]["exported"]["resumed"]


@pytest.mark.slow
def test_two_ranks_do_the_same(tmp_path):
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    found = trained_by(*ranks, SCRIPT, str(tmp_path), "none:0", *FULL)
    for case in FULL:
        assert found[case]["moved"] == found[case]["trained"] == found[case]["gradients"]
        assert found[case]["of_frozen_parts"] == [] and found[case]["gradient_error"] < 1e-4
        assert found["none:0"]["live"] - found[case]["live"] == pytest.approx(
            found["none:0"]["trained_bytes"] - found[case]["trained_bytes"], rel=0.01
        )
        assert found[case]["sent"][1] == [name for name in found[case]["sent"][0]
                                          if not is_frozen(name, case.partition(":")[0])]  # fmt: skip


def test_a_policy_of_which_nothing_is_left_is_an_error():
    policy = torch.nn.ModuleDict({"visual": torch.nn.Linear(2, 2), "lm_head": torch.nn.Linear(2, 2)})
    policy["lm_head"].requires_grad_(False)  # as LoRA does with the base
    with pytest.raises(ValueError, match="freeze=vision: no weight of the policy is left to train"):
        freeze(policy, "vision")
