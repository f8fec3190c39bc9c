"""In a training in bfloat16, rotary frequencies and LoRA's adapters stay float32, and reach vLLM and the policy."""

import json
import subprocess
import sys

import pytest
from one_rank import ENV
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

SETTINGS = ["hardware.attention=sdpa", "hardware.remove_padding=false", "hardware.gradient_checkpointing=false",
            "hardware.use_fused_kernels=false", "hardware.master_dtype=bfloat16", "hardware.lora_rank=8",
            "schedule.learning_rate=1e-5"]  # fmt: skip
TRAIN = """
import json, sys
from pathlib import Path
import torch, verl
from accelerate import init_empty_weights
from torch.distributed import HashStore, init_process_group
init_process_group("cpu:gloo", store=HashStore(), rank=0, world_size=1)
from fsdp_engines import engine, rows, weighted_sum
from verl.utils import tensordict_utils as tu
from vrft_aug.engine.training.policy import merge
from vrft_aug.tiny.shipped import FOLDER

trained, folder = engine(FOLDER, *sys.argv[2:]), Path(sys.argv[1])
model = trained.module.base_model.model
with init_empty_weights():
    exact = dict(type(model)(model.config).named_buffers())
found = {"buffers": {name: [str(buffer.dtype), torch.equal(buffer, exact[name])] for name, buffer in
                     model.named_buffers()}}
weights = dict(trained.module.named_parameters())
adapters = {name: weight for name, weight in weights.items() if weight.requires_grad}
found["adapters"] = sorted({str(weight.dtype) for weight in adapters.values()})
found["base"] = sorted({str(weight.dtype) for name, weight in weights.items() if name not in adapters})
before = {name: weight.full_tensor().clone() for name, weight in adapters.items()}
for _ in range(2):  # lora_A moves once lora_B is no longer zero
    data = rows(FOLDER)
    tu.assign_non_tensor(data, use_remove_padding=False, use_fused_kernels=False, temperature=0.9, use_dynamic_bsz=True,
                         max_token_len_per_gpu=4096)
    with trained.train_mode():
        trained.train_batch(data, weighted_sum)
after = {name: weight.full_tensor().clone() for name, weight in adapters.items() if "lora_A" in name}
found["moved"] = min((before[name] != after[name]).float().mean().item() for name in after)
rounded = {name: before[name].bfloat16() for name in after}
steps = {name: (after[name] - before[name]).bfloat16() for name in after}
found["moved_if_rounded"] = max((rounded[name] != rounded[name] + steps[name]).float().mean().item() for name in after)
state = trained.optimizer.state.values()
found["moments"] = sorted({str(one[key].dtype) for one in state for key in ("exp_avg", "exp_avg_sq")})
sent, _ = trained.get_per_tensor_param(base_sync_done=True)
sent = dict(sent)
from vllm.lora.lora_model import LoRAModel
from vllm.lora.peft_helper import PEFTHelper
helper = PEFTHelper.from_dict({"r": 8, "lora_alpha": 32, "target_modules": ["q_proj"], "bias": "none"})
inside = LoRAModel.from_lora_tensors(1, tensors=sent, peft_helper=helper, device="cpu", dtype=torch.bfloat16)
found["all_sent"] = len(sent) == len(adapters)
found["in_vllm"] = sorted({str(one.lora_a.dtype) for one in inside.loras.values()})
trained.save_checkpoint(str(folder / "actor"), global_step=1)
policy = merge(folder / "actor", folder / "policy")
from safetensors.torch import load_file
first, last = load_file(FOLDER / "model.safetensors"), load_file(policy / "model.safetensors")
found["policy"] = sorted({str(weight.dtype) for weight in last.values()})
found["same_names"] = first.keys() == last.keys()
found["adapted"] = sorted({name.split(".")[-2] for name in last if not last[name].equal(first[name].bfloat16())})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    """Facts about two steps of LoRA in bfloat16 with the tiny policy, on the CPU's form of the engine."""
    command = [sys.executable, "-c", TRAIN, str(tmp_path_factory.mktemp("precision")), *SETTINGS]
    done = subprocess.run(command, env=ENV, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_rotary_frequencies_are_exactly_those_of_the_architecture(trained):
    assert {name.rpartition(".")[2] for name in trained["buffers"]} == {"inv_freq", "original_inv_freq"}
    assert set(map(tuple, trained["buffers"].values())) == {("torch.float32", True)}


def test_adapters_and_their_moments_are_float32_on_a_base_in_bfloat16(trained):
    assert (trained["base"], trained["adapters"]) == (["torch.bfloat16"], ["torch.float32"])
    assert trained["moments"] == ["torch.float32"]


def test_adapters_move_by_steps_that_bfloat16_would_lose(trained):
    assert trained["moved"] > 0.9
    assert trained["moved_if_rounded"] < 0.5


def test_adapters_reach_vllm_in_its_own_type(trained):
    assert trained["all_sent"]
    assert trained["in_vllm"] == ["torch.bfloat16"]


def test_the_exported_policy_is_as_before(trained):
    assert trained["policy"] == ["torch.bfloat16"] and trained["same_names"]
    assert set(trained["adapted"]) <= {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert trained["adapted"]


def test_the_published_architecture_keeps_its_frequencies():
    """Qwen2.5-VL-3B's own widths: what verl's cast does to them, and what we restore."""
    import torch
    from accelerate import init_empty_weights
    from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

    from vrft_aug.engine.verl.precision import restore_buffers
    from vrft_aug.experiments.model_size import PUBLISHED

    config = AutoConfig.from_pretrained(PUBLISHED / "qwen2_5_vl_3b.json")
    config.text_config.num_hidden_layers = config.vision_config.depth = 1
    with init_empty_weights():
        model = Qwen2_5_VLForConditionalGeneration(config)
    exact = model.model.language_model.rotary_emb.inv_freq.clone()
    frequencies = 1 / config.text_config.rope_parameters["rope_theta"] ** (torch.arange(0, 128, 2) / 128)
    torch.testing.assert_close(exact, frequencies)
    model.to(torch.bfloat16)
    damaged = model.model.language_model.rotary_emb.inv_freq.float()
    assert (1000 * (damaged - exact)).abs().max() > 1  # radians at a distance of 1000 tokens
    restore_buffers(model)
    assert model.model.language_model.rotary_emb.inv_freq.equal(exact)
    assert model.model.visual.rotary_pos_emb.inv_freq.dtype == torch.float32


def test_verl_takes_our_engine_for_nvidias_gpus(monkeypatch):
    from verl.workers.engine import EngineRegistry

    from vrft_aug.engine.verl.precision import CudaFSDPEngine

    monkeypatch.setenv("VERL_ENGINE_DEVICE", "cuda")
    monkeypatch.setenv("VERL_ENGINE_VENDOR", "nvidia")  # what verl's CUDA platform calls itself
    for strategy in ("fsdp", "fsdp2"):
        assert EngineRegistry.get_engine_cls("language_model", strategy) is CudaFSDPEngine
