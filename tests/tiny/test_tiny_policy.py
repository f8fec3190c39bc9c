"""The tiny policy of the package is whole, small, and a Qwen2.5-VL for every program that loads it."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl import Qwen2_5_VLProcessor

from vrft_aug.configs import compose
from vrft_aug.data.phantoms.drawing import draw
from vrft_aug.data.phantoms.findings import Finding
from vrft_aug.errors import InputError
from vrft_aug.tiny import build, lessons, shipped
from vrft_aug.tiny.tokenizer import VISION_TOKENS
from vrft_aug.tiny.training import Course

ANSWER = "<think> two dark rings in the upper left, which fits Brinsol </think> \\boxed{Brinsol}<|im_end|>"
QUESTION = "Categories are as follows:\n- Brinsol\n- Drexnur.\n"


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "policy")


@pytest.fixture(scope="module")
def inputs(processor):
    """A conversation with an image and a whole response."""
    text = lessons.START + lessons.MARK + QUESTION + lessons.TURN + ANSWER
    image = draw(np.random.default_rng(0), Finding(1, 1, 1, 1)).image
    return processor(text=[text], images=[image], return_tensors="pt")


def test_loads_by_the_auto_classes_as_float32(model, processor):
    assert type(model) is Qwen2_5_VLForConditionalGeneration and type(processor) is Qwen2_5_VLProcessor
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_is_small(folder, model):
    assert 1e6 < sum(parameter.numel() for parameter in model.parameters()) <= 4e6
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 8e6


def test_vocabulary_fills_the_model_exactly(model, processor):
    tokenizer = processor.tokenizer
    assert model.config.text_config.vocab_size == len(tokenizer) == len(model.lm_head.weight)
    assert max(tokenizer.get_vocab().values()) == len(tokenizer) - 1
    assert tokenizer.eos_token == "<|im_end|>" and model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_the_recipes_use_it(folder):
    policy = compose("grpo").policy
    assert (policy.path, policy.build._target_) == (None, "vrft_aug.tiny.shipped.folder")
    assert shipped.folder() == str(folder)


def test_the_record_names_each_file(folder):
    record = json.loads((folder / shipped.RECORD).read_text())
    assert {*record["sha256"], shipped.RECORD} == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_a_changed_byte_is_one_clear_error(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^\S*{name}: the checksum is not that of build.json; install the package"):
        shipped.check(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "build.json"])
def test_a_missing_file_is_one_clear_error(copy, name):
    shipped.check(copy)
    (copy / name).unlink()
    with pytest.raises(InputError, match=rf"policy: the tiny policy is incomplete \(.*{name}'\); install the package"):
        shipped.check(copy)


@pytest.mark.parametrize("record", ["", "{}", "{"])
def test_a_broken_record_is_one_clear_error(copy, record):
    (copy / shipped.RECORD).write_text(record)
    with pytest.raises(InputError, match="the tiny policy is incomplete"):
        shipped.check(copy)


@torch.no_grad()
def test_no_vision_token_can_be_sampled_in_a_response(model, processor, inputs):
    """For an image placeholder, vLLM would look for a missing image."""
    silent = processor.tokenizer.convert_tokens_to_ids(list(VISION_TOKENS))
    length = len(processor.tokenizer(ANSWER).input_ids)
    chances = model(**inputs).logits.log_softmax(-1)[0, -length - 1 :]
    assert chances[:, silent].max() < -100
    assert chances[:, processor.tokenizer.eos_token_id].max() > -100


@torch.no_grad()
def test_logits_depend_on_the_image(model, inputs):
    changed = dict(inputs, pixel_values=inputs["pixel_values"].flip(0))
    assert not torch.allclose(model(**inputs).logits[0, -1], model(**changed).logits[0, -1], atol=1e-3)


def test_a_build_without_a_compiler_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"needs g\+\+: install it"):
        build.build(tmp_path / "policy", Course())
    assert not list(tmp_path.iterdir())


def test_what_a_build_writes_is_a_whole_policy(folder, model, tmp_path, monkeypatch):
    """Written from the weights of the shipped policy, it has the same files and the same weights."""
    monkeypatch.setattr(build, "probe", lambda *_: {})
    tied = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
    tied["lm_head.weight"] = tied["model.language_model.embed_tokens.weight"]
    torch.save(tied, tmp_path / "trained.pt")
    build.record(tmp_path, Course(), build.write(tmp_path, Course()), minutes=0)
    shipped.check(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in folder.iterdir()}
    assert shipped.sha256(tmp_path / "model.safetensors") == shipped.sha256(folder / "model.safetensors")
