"""Checks that verl's FSDP engine keeps a head and an embedding that are one matrix, as in Qwen2.5-VL-3B, on two ranks.

The policy of the package has two matrices, so that no other test sees this.
"""

import json

import pytest
from without_gpu import STAND_IN, TOYS, environment, run

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("tied")
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    run(*ranks, "tests/gpu_path/train_tied.py", folder, env=environment(STAND_IN, TOYS))
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize("engine", ["padded", "padding_free"])
def test_the_tie_survives_loading_an_update_and_merging(trained, engine):
    found = trained[engine]
    assert found["tied"] and found["equal"] and found["moved"] > 1e-3
    assert found["merged_tied"] and found["merged_equal"]
    assert "model.language_model.embed_tokens.weight" in found["sent"]  # to vLLM


@pytest.mark.parametrize("engine", ["padded", "padding_free"])
def test_two_ranks_have_the_gradients_of_one_device(trained, engine):
    assert trained[engine]["same_names"]
    assert trained[engine]["gradients"] < 1e-4
