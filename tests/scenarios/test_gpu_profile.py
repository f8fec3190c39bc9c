"""Checks the GPU profiles on a CPU: what verl and vLLM build from them before they use a GPU.

The policy is Qwen2.5-VL-3B's published config with the tiny policy's tokenizer and no weights. tests/gpu_path goes
further, with stand-ins for what only a GPU has.
"""

import os
from pathlib import Path
from unittest import mock

import pytest
from repository import gpu_profiles

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

from gpu_profiles import PROFILES, published_policy, root, vllm_arguments
from omegaconf import open_dict


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    """The folder of a policy without its weights."""
    return published_policy(tmp_path_factory.mktemp("qwen2_5_vl_3b"))


@pytest.mark.parametrize("hardware", PROFILES)
def test_verl_accepts_the_run(hardware, policy):
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    config = root("grpo", hardware, policy)
    assert need_reference_policy(config) and not need_critic(config)
    validate_config(config, use_reference_policy=True, use_critic=False)


@pytest.mark.parametrize("hardware", PROFILES)
def test_verls_workers_get_their_configs(hardware, policy):
    """Build what ActorRolloutRefWorker.init_model builds first (verl/workers/engine_workers.py:528-640)."""
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.config import TrainingWorkerConfig

    config = root("grpo", hardware, policy)
    roles, profile = config.actor_rollout_ref, config.hardware
    model = omega_conf_to_dataclass(roles.model)
    assert model.hf_config.text_config.num_hidden_layers == 36
    assert model.hf_config._attn_implementation == "flash_attention_2"
    with open_dict(roles.ref):
        roles.ref.ppo_mini_batch_size = roles.actor.ppo_mini_batch_size
        roles.ref.use_dynamic_bsz = roles.ref.pop("log_prob_use_dynamic_bsz")
        for key in ("max_token_len_per_gpu", "micro_batch_size", "micro_batch_size_per_gpu"):
            roles.ref[f"ppo_{key}"] = roles.ref.pop(f"log_prob_{key}")
    actor, ref = omega_conf_to_dataclass(roles.actor), omega_conf_to_dataclass(roles.ref)
    for role in (actor, ref):
        worker = TrainingWorkerConfig(
            model_type="language_model", model_config=model, engine_config=role.engine, optimizer_config=role.optim,
            checkpoint_config=role.checkpoint,
        )  # fmt: skip
        assert worker.engine_config.strategy == "fsdp2"
        assert worker.engine_config.mixed_precision["param_dtype"] == "bfloat16"
    assert ref.engine.forward_only and not actor.engine.forward_only
    assert not actor.engine.use_no_sync_for_gradient_accumulation  # memory.py counts sharded gradients
    assert actor.engine.model_dtype == profile.master_dtype
    assert (actor.engine.param_offload, actor.engine.optimizer_offload) == tuple(profile.offload.values())
    rollout = omega_conf_to_dataclass(roles.rollout)
    assert "dummy" not in rollout.load_format  # vLLM reads the base itself, so LoRA sends its adapters alone
    bucket = omega_conf_to_dataclass(roles.rollout.checkpoint_engine).update_weights_bucket_megabytes
    assert bucket == profile.weight_bucket_megabytes


@pytest.mark.parametrize("hardware", PROFILES)
def test_verls_sft_trainer_gets_its_configs(hardware, policy):
    from verl.utils.config import omega_conf_to_dataclass

    config = root("sft", hardware, policy)
    engine = omega_conf_to_dataclass(config.engine)
    assert (engine.strategy, engine.model_dtype) == ("fsdp2", config.hardware.master_dtype)
    assert omega_conf_to_dataclass(config.model).lora_rank == config.hardware.lora_rank
    assert omega_conf_to_dataclass(config.optim).lr == 1e-6


@pytest.mark.parametrize("hardware", PROFILES)
def test_vllm_takes_the_engine_arguments(hardware, policy):
    config = root("grpo", hardware, policy)
    profile, arguments = config.hardware, vllm_arguments(config)
    assert arguments.enable_sleep_mode == profile.vllm.sleep
    arguments.enable_sleep_mode = False  # the CPU build has none
    with mock.patch.dict(os.environ):  # vLLM's CPU platform exports settings for its workers
        engine = arguments.create_engine_config()
    assert engine.model_config.architectures == ["Qwen2_5_VLForConditionalGeneration"]
    assert (str(engine.model_config.dtype), engine.model_config.max_model_len) == ("torch.bfloat16", 3072)
    assert engine.cache_config.gpu_memory_utilization == profile.vllm.memory_fraction
    assert engine.scheduler_config.max_num_seqs == profile.vllm.max_num_seqs
    assert engine.scheduler_config.max_num_batched_tokens == profile.vllm.max_num_batched_tokens
    assert engine.parallel_config.tensor_parallel_size == profile.vllm.tensor_parallel
    rank = engine.lora_config.max_lora_rank if engine.lora_config else 0
    assert rank >= profile.lora_rank and bool(rank) == bool(profile.lora_rank)


def test_a_lora_rank_beyond_vllms_is_refused(policy):
    from verl.utils.config import validate_config

    config = root("grpo", "gpu_1x24g", policy)
    config.actor_rollout_ref.model.lora_rank = 513
    with pytest.raises(ValueError, match="lora_rank"):
        validate_config(config, use_reference_policy=True, use_critic=False)


def test_every_gpu_profile_is_checked():
    assert set(gpu_profiles()) == set(PROFILES)
