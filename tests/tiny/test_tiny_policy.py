"""The tiny policy is a Qwen2.5-VL for every program that loads it, and its vision tower learns."""

import hashlib
import json
import multiprocessing

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl import Qwen2_5_VLProcessor

from vrft_aug.data.datasets import phantom
from vrft_aug.tiny import build as tiny_policy
from vrft_aug.tiny import eyes as tiny_vision
from vrft_aug.tiny import tokenizer as tiny_tokenizer

CHAT = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]


def build(cache, seed=0):
    """The real build with two steps of pre-training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_vision, "STEPS", 2)
        patch.setattr(tiny_vision, "BATCH", 4)
        return tiny_policy.build(cache, seed, report=lambda line: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("policies"))


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForImageTextToText.from_pretrained(folder)


@pytest.fixture(scope="module")
def inputs(processor):
    text = processor.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    image = phantom.draw(np.random.default_rng(0), "classification", 1, 56)[0]
    return processor(text=[text], images=[image], return_tensors="pt")


def digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_loads_by_the_auto_classes(model, processor):
    assert type(model) is Qwen2_5_VLForConditionalGeneration and type(processor) is Qwen2_5_VLProcessor
    assert 0.5e6 < sum(p.numel() for p in model.parameters()) < 5e6
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_vocabulary_fills_the_model_exactly(folder, model):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.text_config.vocab_size == len(tokenizer) == len(model.lm_head.weight)
    assert max(tokenizer.get_vocab().values()) == len(tokenizer) - 1
    assert tokenizer.eos_token == "<|im_end|>" and model.generation_config.eos_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize("text", ["", "Zürich ✓ 東京\n\n\ttab", "\\boxed{ring}", "[12, 345]", "<think>a</think>"])
def test_any_text_survives_the_tokenizer(processor, text):
    assert processor.tokenizer.decode(processor.tokenizer.encode(text)) == text


def test_prompt_words_are_short_and_digits_single(processor):
    prompt = (tiny_tokenizer.TEMPLATES / "classify.jinja").read_text().splitlines()[-1]
    assert len(processor.tokenizer.tokenize(prompt)) < 1.4 * len(prompt.split())
    assert processor.tokenizer.tokenize("2048") == list("2048")
    assert len(processor.tokenizer.tokenize("\\boxed{nodule}")) <= 4


def test_chat_format_is_that_of_qwen(processor):
    text = processor.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert text == f"{system}<|im_start|>user\n{image}What is this?<|im_end|>\n<|im_start|>assistant\n"
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    text = processor.apply_chat_template(own, tokenize=False)
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"


@pytest.mark.parametrize("side", [28, 56, 224])
def test_square_images_become_sixteen_tokens(processor, side):
    text = processor.apply_chat_template(CHAT, tokenize=False)
    inputs = processor(text=[text], images=[np.zeros((side, side, 3), np.uint8)], return_tensors="pt")
    assert inputs["image_grid_thw"].tolist() == [[1, 8, 8]]
    assert (inputs["input_ids"] == processor.image_token_id).sum() == 16


@torch.no_grad()
def test_logits_depend_on_the_image(model, inputs):
    changed = dict(inputs, pixel_values=inputs["pixel_values"].flip(0))
    assert not torch.allclose(model(**inputs).logits[0, -1], model(**changed).logits[0, -1], atol=1e-3)


@torch.no_grad()
def test_words_and_image_enter_at_one_scale(model, inputs):
    tokens = model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
    words = model.get_input_embeddings()(inputs["input_ids"])[0, :, 1:]  # the first dimension holds the head's bias
    assert 0.5 < tokens.square().mean().sqrt() / words.square().mean().sqrt() < 2


@torch.no_grad()
def test_no_vision_token_can_be_sampled(model, processor, inputs):
    ids = processor.tokenizer.convert_tokens_to_ids(tiny_tokenizer.VISION_TOKENS)
    assert model(**inputs).logits.log_softmax(-1)[0, -1, ids].max() < -100


def test_same_seed_same_bytes_and_other_seed_other_folder(folder, tmp_path):
    again, other = build(tmp_path), build(tmp_path, seed=1)
    assert again.name == folder.name != other.name
    assert digest(again) == digest(folder) != digest(other)
    assert (again / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_longer_vocabulary_leaves_the_other_weights(processor):
    words = tiny_tokenizer.train_tokenizer(["a few other words"] * 2)
    one, two = (tiny_policy.make_model(tokenizer, 3).state_dict() for tokenizer in (processor.tokenizer, words))
    different = {name for name in one if not torch.equal(one[name], two[name])} if one.keys() == two.keys() else None
    assert different == {"model.language_model.embed_tokens.weight", "lm_head.weight"}


def test_cache_is_used_and_leaves_no_scratch(folder):
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert build(folder.parent) == folder and (folder / "model.safetensors").stat().st_mtime_ns == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_second_process_waits_for_the_first_and_finds_its_policy(tmp_path):
    """The first process is held in the middle of its build until the second one has said that it waits."""
    context, lines = multiprocessing.get_context("fork"), multiprocessing.get_context("fork").Queue()
    waits, builds = context.Event(), context.Event()
    first = context.Process(target=build_and_tell, args=(tmp_path, lines, waits, builds))
    second = context.Process(target=build_and_tell, args=(tmp_path, lines, waits, builds))
    first.start()
    assert builds.wait(60)
    second.start()
    first.join(120), second.join(120)
    assert (first.exitcode, second.exitcode) == (0, 0)
    told = [lines.get(timeout=10) for _ in range(3)]
    policy = tmp_path / tiny_policy_name(tmp_path)
    assert sorted(told) == sorted([f"tiny policy: another process builds {policy}; waiting for it",
                                   f"tiny policy: wrote {policy}", f"tiny policy: found {policy}"])
    assert [path.name for path in tmp_path.iterdir()] == [policy.name]


def build_and_tell(cache, lines, waits, builds):
    """Build a folder with no policy in it; the file operations and the lock are the real ones."""

    def make(folder, *_):
        builds.set()
        assert waits.wait(60)

    def report(line):
        lines.put(line)
        if "waiting" in line:
            waits.set()

    tiny_policy._make = make
    tiny_policy.build(cache, report=report)


def tiny_policy_name(cache):
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    return folder.name


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny_vision, "pretrain", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tiny_policy.build(tmp_path, report=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_eyes_learn(processor, monkeypatch):
    """After a hundred small steps the probes are far above chance (0.25) on new images."""
    monkeypatch.setattr(tiny_vision, "STEPS", 100)
    monkeypatch.setattr(tiny_vision, "BATCH", 16)
    lines = []
    visual = tiny_policy.make_model(processor.tokenizer, 0).model.visual
    with tiny_policy.one_thread():
        accuracies = tiny_vision.pretrain(visual, processor.image_processor, 0, lines.append)
    assert min(accuracies.values()) > 0.4, accuracies
    assert len(lines) == 2


def test_probe_accuracy_is_recorded(folder):
    record = json.loads((folder / "tiny_policy.json").read_text())
    assert record["seed"] == 0 and set(record["probe_accuracy"]) == set(phantom.CLASSES)
