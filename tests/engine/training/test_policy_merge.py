"""verl's merger, on checkpoints as its FSDP engine writes them on one device, with and without a LoRA adapter."""

import json

import pytest

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")

import torch
from transformers import AutoModelForImageTextToText

from vrft_aug.engine.training import policy
from vrft_aug.tiny import model as tiny_policy
from vrft_aug.tiny import tokenizer as tiny_tokenizer


@pytest.fixture
def parts():
    tokenizer = tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus())
    model = tiny_policy.make_model(tokenizer, 0)
    model.config.architectures = [type(model).__name__]
    return model, tiny_policy.make_processor(tokenizer)


def save(folder, model, processor):
    """Write a checkpoint in the layout of GRPO; return the folder of its shards."""
    shards = folder / "global_step_1" / "actor"
    (shards / "huggingface").mkdir(parents=True)
    model.config.save_pretrained(shards / "huggingface")
    processor.save_pretrained(shards / "huggingface")
    (shards / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": 1}))
    torch.save(model.state_dict(), shards / "model_world_size_1_rank_0.pt")
    return shards


def weights(folder) -> dict[str, torch.Tensor]:
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).state_dict()


def test_a_checkpoint_becomes_a_model_with_its_weights(tmp_path, parts):
    model, processor = parts
    merged = policy.merge(save(tmp_path, model, processor).parent, tmp_path / "policy")
    found = weights(merged)
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], tensor.bfloat16().float()) for name, tensor in model.state_dict().items())


def test_a_lora_adapter_is_part_of_the_weights(tmp_path, parts):
    from peft import LoraConfig, get_peft_model

    model, processor = parts
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(0)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    shards = save(tmp_path, adapted, processor)
    (shards / "lora_train_meta.json").write_text(json.dumps({"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM"}))
    merged = policy.merge(shards.parent, tmp_path / "policy")
    assert not (merged / "lora_adapter").exists()
    found, expected = weights(merged), adapted.merge_and_unload().state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        moved = name.endswith(("q_proj.weight", "down_proj.weight"))
        assert torch.allclose(found[name], tensor, rtol=2**-6, atol=2**-6), name  # bfloat16 has eight binary digits
        assert moved == (not torch.allclose(tensor, before[name], atol=0.1)), name
