"""Compares the memory formula with what torch, peft, verl and vLLM count on the meta device."""

from types import SimpleNamespace

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import torch
from repository import composed
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from transformers import AttentionInterface, AutoConfig, AutoModelForImageTextToText, Qwen3VLConfig

from vrft_aug.data.settings import Policy
from vrft_aug.engine.run.freezing import is_frozen
from vrft_aug.engine.run.preflight import BYTES_A_PARAMETER, BYTES_A_TRAINED_PARAMETER, GIB
from vrft_aug.experiments import memory
from vrft_aug.experiments.model_size import PUBLISHED as FOLDER
from vrft_aug.experiments.model_size import count, count_adapters, count_frozen, find, read

PUBLISHED = {"qwen2_5_vl_3b": 3_754_622_976, "qwen2_5_vl_7b": 8_292_166_656, "lingshu_7b": 8_292_166_656,
             "qwen3_vl_2b": 2_127_532_032, "qwen3_vl_4b": 4_437_815_808,
             "qwen3_vl_8b": 8_767_123_696}  # in the Hub's safetensors headers  # fmt: skip
TOKENS = 64


def model_on_meta(name: str, **options) -> torch.nn.Module:
    config = AutoConfig.from_pretrained(FOLDER / f"{name}.json")
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config, **options)


def published(name: str) -> torch.nn.Module:
    return read(FOLDER / f"{name}.json")


def root(hardware: str, *overrides: str, recipe: str = "grpo", policy: str = "qwen2_5_vl_3b"):
    return composed(recipe, f"hardware={hardware}", f"policy={policy}", *overrides)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    assert count(published(name)) == PUBLISHED[name]


def test_a_config_that_transformers_has_written_gives_the_same_size(tmp_path):
    model_on_meta("qwen2_5_vl_7b").config.save_pretrained(tmp_path)
    assert "text_config" in (tmp_path / "config.json").read_text()
    assert count(read(tmp_path / "config.json")) == PUBLISHED["qwen2_5_vl_7b"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_adapters_are_verls_and_leave_the_vision_tower_alone(name):
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

    config = root("gpu_1x24g", policy=name).actor_rollout_ref.model
    engine = SimpleNamespace(model_config=SimpleNamespace(**config, target_parameters=None))
    model = FSDPEngineWithLMHead._build_lora_module(engine, model_on_meta(name))
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert sum(weight.numel() for weight in trained.values()) == count_adapters(published(name), config.lora_rank) > 0
    assert not [name for name in trained if "visual" in name or "lm_head" in name]


@pytest.fixture
def two_devices():
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield init_device_mesh("cpu", (2,), mesh_dim_names=("fsdp",))
    torch.distributed.destroy_process_group()


def test_training_state_is_what_verls_fsdp2_leaves_on_one_of_two_devices(two_devices):
    from verl.utils.fsdp_utils import apply_fsdp2

    def gigabytes(tensors) -> float:
        return sum(getattr(tensor, "_local_tensor", tensor).nbytes for tensor in tensors) / GIB

    model = model_on_meta("qwen2_5_vl_3b", dtype=torch.float32)
    mixed = MixedPrecisionPolicy(torch.bfloat16, torch.float32)
    apply_fsdp2(model, {"mesh": two_devices, "mp_policy": mixed, "reshard_after_forward": True}, {})
    assert sum(isinstance(module, FSDPModule) for module in model.modules()) == 36 + 32 + 1  # layers, blocks, the root
    weights = list(model.parameters())
    for weight in weights:
        weight.grad = torch.empty_like(weight)
    optimizer = torch.optim.AdamW(weights)
    optimizer.step()
    config = root("gpu_2x80g")
    parts = memory.training(published("qwen2_5_vl_3b"), config.hardware, Policy.of(config.policy))
    assert parts["weights"] == pytest.approx(gigabytes(weights), rel=1e-3)
    assert parts["gradients"] == pytest.approx(gigabytes(weight.grad for weight in weights), rel=1e-3)
    moments = (tensor for state in optimizer.state.values() for tensor in state.values())
    assert parts["optimizer"] == pytest.approx(gigabytes(moments), rel=1e-3)


class _FlashAttention(torch.autograd.Function):
    """Keeps what flash attention keeps: its inputs and its output."""

    @staticmethod
    def forward(context, query, key, value):
        output = torch.empty_like(query)
        context.save_for_backward(query, key, value, output)
        return output


def saved_bytes(block: torch.nn.Module, *inputs, **keywords) -> int:
    """Bytes that autograd keeps of `block`, its parameters left out."""
    own = {weight.untyped_storage()._cdata for weight in block.parameters()}
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.setdefault(tensor.untyped_storage()._cdata, tensor), lambda tensor: tensor
    ):
        block(*inputs, **keywords)
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in own)


@pytest.mark.parametrize("name", PUBLISHED)
def test_activations_of_a_layer_are_what_autograd_keeps(name):
    AttentionInterface.register("counted", lambda module, query, key, value, *_, **__: (
        _FlashAttention.apply(*(tensor.transpose(1, 2) for tensor in (query, key, value))), None))  # fmt: skip
    model = model_on_meta(name, dtype=torch.bfloat16, attn_implementation="counted").model
    text, vision = model.config.text_config, model.config.vision_config
    with torch.device("meta"):
        tokens = torch.empty(1, TOKENS, text.hidden_size, dtype=torch.bfloat16, requires_grad=True)
        axes = () if name.startswith("qwen3") else (3,)  # of Qwen2.5-VL, whose layer mixes time, row and column
        angles = torch.empty(*axes, 1, TOKENS, head_width(text), dtype=torch.bfloat16)
        patches = torch.empty(TOKENS, vision.hidden_size, dtype=torch.bfloat16, requires_grad=True)
        turns = torch.empty(TOKENS, vision.hidden_size // vision.num_heads)
    layer = saved_bytes(model.language_model.layers[0], tokens, position_embeddings=(angles, angles))
    block = saved_bytes(model.visual.blocks[0], patches, cu_seqlens=torch.tensor([0, TOKENS], dtype=torch.int32),
                        position_embeddings=(turns, turns))  # fmt: skip
    assert memory.layer_bytes(text, "qwen2_5_vl_text") == pytest.approx(layer / TOKENS, rel=0.03)
    assert memory.layer_bytes(vision, "qwen2_5_vl_vision") == pytest.approx(block / TOKENS, rel=0.03)


def head_width(text) -> int:
    return getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_cache_holds_as_many_sequences_as_vllms_own_specification_says(name):
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    text = published(name).config.get_text_config()
    page = FullAttentionSpec(block_size=16, num_kv_heads=text.num_key_value_heads, head_size=head_width(text),
                             dtype=torch.bfloat16).page_size_bytes  # fmt: skip
    config = root("gpu_2x80g", policy=name)
    result = memory.estimate(config)
    sequence = page * text.num_hidden_layers * config.policy.max_length / 16
    assert result.sequences == int(result.phases["rollout"]["vLLM cache"] * GIB // sequence)


@pytest.mark.parametrize("hardware", ["gpu_1x24g", "gpu_2x80g", "node_8x80g", "multi_node"])
def test_the_papers_policy_fits_every_gpu_profile(hardware):
    config = root(hardware)
    result = memory.estimate(config)
    assert result.peak < result.device == config.hardware.device_gigabytes
    usual = 768  # tokens of a prompt with its image, and an answer; where all are longer, vLLM lets some wait
    assert result.sequences * config.policy.max_length >= config.hardware.vllm.max_num_seqs * usual
    assert config.hardware.max_tokens_per_device >= config.policy.max_length  # or verl refuses its longest sequence


def test_what_does_not_fit_is_said():
    assert (full := memory.estimate(root("gpu_2x80g", policy="qwen2_5_vl_7b"))).peak > full.device
    assert (larger := memory.estimate(root("gpu_1x24g", policy="qwen2_5_vl_7b"))).peak > larger.device
    assert larger.sequences == 0


def test_what_makes_it_smaller():
    def peak(*overrides: str) -> float:
        result = memory.estimate(root("gpu_2x80g", *overrides))
        return sum(result.phases["training"].values())

    assert peak("hardware.devices_per_node=4") < peak("hardware.lora_rank=0")
    assert peak("hardware.lora_rank=32") < peak() - 20
    assert peak("hardware.max_tokens_per_device=4096") < peak() - 10
    assert peak("hardware.use_fused_kernels=false") == pytest.approx(peak() + (32768 * 4 - 512 * 16) * 151936 / GIB)
    assert peak("hardware.reshard_after_forward=true") == pytest.approx(peak() - 6, abs=0.5)
    assert peak("hardware.gradient_checkpointing=false") > peak() + 20


@pytest.mark.parametrize("freeze", ["vision", "vision+merger", "language"])
def test_a_frozen_part_has_neither_gradients_nor_moments(freeze):
    model = published("qwen2_5_vl_3b")
    frozen = sum(weight.numel() for name, weight in model.named_parameters() if is_frozen(name, freeze))
    whole, part = (memory.estimate(root("gpu_2x80g", f"freeze={one}")).phases for one in ("none", freeze))
    for key, numbers in (("gradients", 1), ("optimizer", 2), ("weights", 0)):
        spared = (whole["training"][key] - part["training"][key]) * GIB
        assert spared == pytest.approx(frozen * numbers * 4 / 2, rel=1e-6)  # float32 on two devices
    assert (part["training"]["activations"] < whole["training"]["activations"]) == (freeze != "language")
    assert (part["training"]["gathered"] < whole["training"]["gathered"]) == (freeze == "language")
    assert part["rollout"]["optimizer"] < whole["rollout"]["optimizer"]
    with_adapters = memory.estimate(root("gpu_1x24g", f"freeze={freeze}")).phases["training"]
    assert with_adapters["optimizer"] == memory.estimate(root("gpu_1x24g")).phases["training"]["optimizer"]


def test_a_policy_with_its_own_output_head_has_no_fused_kernels():
    def peak(policy: str, fused: str) -> float:
        config = root("node_8x80g", f"hardware.use_fused_kernels={fused}", policy=policy)
        return memory.estimate(config).phases["training"]["logits"]

    assert peak("qwen2_5_vl_7b", "true") == peak("qwen2_5_vl_7b", "false") == pytest.approx(18.6, abs=0.1)
    assert peak("qwen2_5_vl_3b", "true") < 2


def test_phases_are_those_of_the_recipe():
    assert {"training", "transfer", "rollout"} <= set(memory.estimate(root("gpu_1x24g")).phases)
    sft, evaluation = (memory.estimate(root("gpu_1x24g", recipe=recipe)) for recipe in ("sft", "evaluate"))
    assert set(sft.phases) == {"training"} and sft.sequences is None
    assert set(evaluation.phases) == {"rollout"}


def test_on_a_cpu_it_is_what_the_preflight_checks():
    config = root("cpu")
    result, processes = memory.estimate(config), config.hardware.min_free_gigabytes
    assert result.peak == pytest.approx(PUBLISHED["qwen2_5_vl_3b"] * BYTES_A_PARAMETER / GIB + processes)
    assert result.device > 0
    frozen = count_frozen(published("qwen2_5_vl_3b"), "vision")
    spared = result.peak - memory.estimate(root("cpu", "freeze=vision")).peak
    assert spared * GIB == pytest.approx(frozen * BYTES_A_TRAINED_PARAMETER) and frozen > 5e8


def test_a_policy_of_unknown_size_has_no_estimate(tmp_path):
    assert memory.estimate(root("gpu_2x80g", "policy.name=other", "policy.path=somebody/other")) is None
    (tmp_path / "config.json").write_text('{"model_type": "of_tomorrow"}')
    assert memory.estimate(root("gpu_2x80g", f"policy.path={tmp_path}")) is None


def test_a_local_folder_is_measured_by_its_own_config(tmp_path):
    config = root("gpu_2x80g", f"policy.path={tmp_path}")
    Qwen3VLConfig(tie_word_embeddings=True).save_pretrained(tmp_path)
    with torch.device("meta"):
        other = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(tmp_path))
    assert count(find(Policy.of(config.policy))) == sum(weight.numel() for weight in other.parameters())
    assert memory.estimate(config).peak > memory.estimate(root("gpu_2x80g")).peak
