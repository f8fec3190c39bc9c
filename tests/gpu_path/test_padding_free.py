"""Checks that verl's engine computes without padding, as on a GPU, what it computes with padding.

flash-attn needs a GPU; tests/toys/flash_attn_stand_in has its functions by torch's attention. All around them is real:
verl's packing and unpacking of rows, its attention for Qwen2.5-VL, its fused kernels, gradient checkpointing and FSDP2.
"""

import json

import pytest
from without_gpu import RECORD, STAND_IN, TOYS, environment, run

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

CASES = ["float32", "lora", "fused", "bfloat16", "lora_bfloat16"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> dict[str, dict[str, float]]:
    folder = tmp_path_factory.mktemp("padding_free")
    env = environment(STAND_IN, TOYS, **{RECORD: str(folder)})
    printed = run("tests/gpu_path/compare_padding_free.py", folder, env=env)
    assert (folder / "flash_attn_varlen_func").exists(), "the engine without padding has not used flash-attn"
    return json.loads(printed.splitlines()[-1])


def test_each_kind_of_engine_is_compared(compared):
    assert set(compared) == set(CASES)
    assert all(found["tokens"] > 150 and -20 < found["mean"] < -1e-3 for found in compared.values())
    assert compared["lora"]["parameters"] != compared["float32"]["parameters"]


@pytest.mark.parametrize("case", ["float32", "lora", "fused"])
def test_without_padding_the_numbers_are_the_same_in_float32(compared, case):
    """Only the order of sums differs, and float32 rounds each by 6e-8. Seen, by processor: up to 5e-5 and 1.6e-5."""
    assert compared[case]["log_probs"] < 1e-4
    assert compared[case]["gradients"] < 2e-5


@pytest.mark.parametrize("case", ["bfloat16", "lora_bfloat16"])
@pytest.mark.parametrize("number", ["log_probs", "mean_difference", "gradients", "norm"])
def test_without_padding_the_numbers_are_close_in_bfloat16(compared, case, number):
    """The two may differ by a quarter of what bfloat16 differs from float32. Seen: up to a tenth, by processor."""
    found, rounding = compared[case][number], compared[case][f"rounding_of_{number}"]
    assert rounding > 0 and found < rounding / 4
