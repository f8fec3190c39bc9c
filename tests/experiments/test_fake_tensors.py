"""Bounds the memory formula by verl's own modules on fake tensors: real shapes, every GPU profile. Minutes per case."""

import importlib.util
import sys

import pytest
from repository import ROOT, gpu_profiles

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")


@pytest.fixture(scope="module")
def gpu_memory():
    spec = importlib.util.spec_from_file_location("gpu_memory", ROOT / "benchmarks" / "gpu_memory.py")
    module = sys.modules["gpu_memory"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_gpu_profile_is_a_case(gpu_memory):
    assert {case.split("/")[0] for case in gpu_memory.CASES} == set(gpu_profiles())


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_the_formula_is_never_below_and_at_most_a_fifth_above(number, gpu_memory):
    found = gpu_memory.measure(gpu_memory.CASES[number])
    assert found["fake"] <= found["formula"] <= 1.2 * found["fake"]
