"""Which weights each `freeze` holds, in the architectures as transformers builds them."""

import pytest

pytest.importorskip("torch", reason="the training stack is not installed (make setup)")

import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig, Qwen3VLConfig

from vrft_aug.engine.run.freezing import CHOICES, is_frozen

SMALL_TEXT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
              "num_key_value_heads": 2, "vocab_size": 64, "head_dim": 8}  # fmt: skip
SMALL_VISION = {"depth": 3, "hidden_size": 32, "num_heads": 4, "intermediate_size": 32, "out_hidden_size": 32}
MODELS = {
    "qwen2_5_vl": Qwen2_5_VLConfig(text_config=SMALL_TEXT, vision_config=SMALL_VISION),
    "qwen3_vl": Qwen3VLConfig(text_config=SMALL_TEXT,
                              vision_config=SMALL_VISION | {"deepstack_visual_indexes": [0, 1]}),
}  # fmt: skip
MERGERS = {"qwen2_5_vl": {"merger"}, "qwen3_vl": {"merger", "deepstack_merger_list"}}


def names(architecture: str) -> set[str]:
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(MODELS[architecture])
    return {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("architecture", MODELS)
def test_the_parts_are_those_of_the_architecture(architecture):
    every = names(architecture)
    frozen = {freeze: {name for name in every if is_frozen(name, freeze)} for freeze in CHOICES}
    tower = {name for name in every if name.startswith("model.visual.")}
    assert frozen["none"] == set()
    assert frozen["vision+merger"] == tower
    assert frozen["language"] == every - tower and "lm_head.weight" in frozen["language"]
    assert {name.split(".")[2] for name in tower - frozen["vision"]} == MERGERS[architecture]
    assert frozen["vision"] < tower and any("patch_embed" in name for name in frozen["vision"])


@pytest.mark.parametrize(("name", "freezes"), [
    ("visual.blocks.0.attn.qkv.weight", {"vision", "vision+merger"}),  # as in the hub's files
    ("visual.merger.mlp.0.weight", {"vision+merger"}),
    ("base_model.model.model.visual.blocks.0.attn.qkv.lora_A.default.weight", {"vision", "vision+merger"}),
    ("base_model.model.model.language_model.layers.0.mlp.up_proj.lora_B.default.weight", {"language"}),
    ("model.language_model.layers.0.visual_gate.weight", {"language"}),  # a part of a word is no part of the policy
])  # fmt: skip
def test_names_with_other_beginnings(name, freezes):
    assert {freeze for freeze in CHOICES if is_frozen(name, freeze)} == freezes
