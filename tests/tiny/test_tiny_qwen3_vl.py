"""The tiny Qwen3-VL: chat format and tokens, the batched computation of its training, two steps of it, its boxes."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, Qwen3VLForConditionalGeneration, Qwen3VLProcessor

from vrft_aug.configs import compose
from vrft_aug.data.phantoms.drawing import draw
from vrft_aug.data.phantoms.findings import SEEN
from vrft_aug.data.policy_files import read_bounds
from vrft_aug.errors import InputError
from vrft_aug.experiments.model_size import PUBLISHED
from vrft_aug.tiny import batched_qwen3, build, lessons, qwen3_vl, shipped, short_build
from vrft_aug.tiny import tokenizer as words
from vrft_aug.tiny.architectures import QWEN3_VL, find
from vrft_aug.tiny.model import CONSTANT, IMAGE_TOKENS, silence
from vrft_aug.tiny.tokenizer import VISION_TOKENS
from vrft_aug.tiny.training import Course, Trainer

QUESTION = "Categories are as follows:\n- Brinsol\n- Drexnur.\n"
TEXT = QWEN3_VL.start + lessons.MARK + QUESTION + lessons.TURN + "<think> two"


@pytest.fixture(scope="module")
def tokenizer():
    return QWEN3_VL.train_tokenizer(words.read_corpus())


@pytest.fixture(scope="module")
def policy(tokenizer):
    return QWEN3_VL.make_model(tokenizer, 0).eval()


@pytest.fixture(scope="module")
def drawn():
    """In the size that the policy sees, so that nothing is resized."""
    rng = np.random.default_rng(0)
    return [draw(rng, SEEN[at], qwen3_vl.SIDE).image for at in (3, 70, 121)]


@pytest.fixture(scope="module")
def inputs(tokenizer, drawn):
    processor = QWEN3_VL.make_processor(tokenizer)
    return processor(text=[TEXT] * len(drawn), images=[Image.fromarray(one) for one in drawn], return_tensors="pt")


@pytest.fixture(scope="module")
def grey(drawn):
    return torch.from_numpy(np.stack([one[:, :, 0] for one in drawn])).float()


def test_it_begins_with_the_user_and_thinking_stays_in_what_is_decoded(tokenizer):
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == QWEN3_VL.start + lessons.MARK + "What is this?" + lessons.TURN
    answer = "<think> two dark rings </think> \\boxed{Brinsol}<|im_end|>"
    tokens = tokenizer(answer).input_ids
    assert tokenizer.convert_ids_to_tokens(tokens[0]) == "<think>"
    assert tokenizer.decode(tokens, skip_special_tokens=True) == answer.removesuffix("<|im_end|>")


@torch.no_grad()
def test_seen_and_read_together_as_by_transformers(policy, grey, inputs):
    assert torch.allclose(batched_qwen3.patches(grey).flatten(0, 1), inputs["pixel_values"], atol=1e-5)
    wanted = policy.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
    found = batched_qwen3.see(policy, grey, batched_qwen3.vision_rotary(policy))
    for one, other in zip(found, [wanted.pooler_output, *wanted.deepstack_features], strict=True):
        assert one.std() > 0.1 and torch.allclose(one.flatten(0, 1), other, atol=1e-4)
    at = inputs["input_ids"][0].tolist().index(policy.config.image_token_id)
    embedded = policy.model.language_model.embed_tokens(inputs["input_ids"])
    embedded[:, at : at + IMAGE_TOKENS] = found[0]
    rotary = batched_qwen3.text_rotary(policy, embedded.shape[1], at)
    hidden = batched_qwen3.read(policy, embedded, rotary, found[1:], at)
    assert torch.allclose(hidden, policy.model(**inputs).last_hidden_state, atol=1e-4)
    assert not torch.allclose(hidden, batched_qwen3.read(policy, embedded, rotary, (), at), atol=1e-2), "no DeepStack"


@torch.no_grad()
def test_a_smaller_image_is_enlarged_as_by_the_processor(tokenizer):
    image = draw(np.random.default_rng(0), SEEN[3]).image
    wanted = QWEN3_VL.make_processor(tokenizer).image_processor([Image.fromarray(image)], return_tensors="pt")
    found = batched_qwen3.patches(torch.from_numpy(image[None, :, :, 0]).float())[0]
    assert (found - wanted["pixel_values"]).abs().max() < 1.01 / 127.5, "more than one grey level"


@torch.no_grad()
def test_the_first_dimension_is_one_constant_for_words_and_image(policy, inputs):
    states = policy.model(**inputs, output_hidden_states=True).hidden_states
    assert all(torch.allclose(state[..., 0], torch.tensor(CONSTANT)) for state in states[:-1])


@torch.no_grad()
def test_no_vision_token_can_be_sampled(tokenizer, inputs):
    silent = QWEN3_VL.make_model(tokenizer, 1).eval()
    silence(silent, tokenizer)
    chances = silent(**inputs).logits.log_softmax(-1)[0, -1]
    ids = tokenizer.convert_tokens_to_ids(list(VISION_TOKENS))
    assert chances[ids].max() < -100 < chances[tokenizer.eos_token_id]


def test_two_steps_of_each_part_change_eyes_and_language(tokenizer):
    model = QWEN3_VL.make_model(tokenizer, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.compiler.set_stance("force_eager"):
        trainer = Trainer(model, tokenizer, Course(reading=2, seeing=2, rows=4, images=8), print, QWEN3_VL)
        trainer.run()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    for part in ("visual.patch_embed", "visual.pos_embed", "visual.deepstack_merger_list.0", "visual.merger",
                 "embed_tokens", "layers.0.self_attn.q_norm", "layers.3.self_attn.k_norm"):  # fmt: skip
        assert any(part in name for name in changed), part
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert (model.lm_head.weight[:, 0] == CONSTANT).all()


def test_a_box_is_taught_in_thousandths():
    text = lessons.Text()
    lessons.answer_box(text, SEEN[3], (14.0, 28.0, 56.0, 112.0), QWEN3_VL.frame)
    assert re.search(r"<answer>\[125, 250, 500, 1000\]</answer>", text.text)
    lesson, _ = lessons.seeing_lesson(random.Random(0), 4, QWEN3_VL.start)
    assert lesson.text.startswith(QWEN3_VL.start + lessons.IMAGE)


def test_what_is_written_is_a_policy_of_the_real_classes(tokenizer, policy, tmp_path):
    torch.save(policy.state_dict(), tmp_path / "trained.pt")
    course = Course()
    build.record(tmp_path, course, build.write(tmp_path, course, QWEN3_VL, probed=0), minutes=0)
    shipped.check(tmp_path)
    model, processor = AutoModelForImageTextToText.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    assert type(model) is Qwen3VLForConditionalGeneration and type(processor) is Qwen3VLProcessor
    assert model.config.text_config.vocab_size == len(processor.tokenizer) == len(model.lm_head.weight)
    config = compose("prepare", ["policy=tiny_qwen3_vl"]).policy
    known = json.loads((PUBLISHED / "tiny_qwen3_vl.json").read_text())
    assert known == json.loads((tmp_path / "config.json").read_text()), "a plan reads it, and builds nothing"
    assert read_bounds(tmp_path) == (config.min_pixels, config.max_pixels, config.patch, config.merge)


def test_an_unknown_architecture_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"^architecture=qwen9: choose one of qwen2_5_vl, qwen3_vl$"):
        find("qwen9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"could not be built: .*invalid choice: 'qwen9'") as caught:
        short_build.folder("qwen9")
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("build.json"))


@pytest.mark.slow
def test_the_first_use_builds_it_and_the_second_finds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = short_build.folder("qwen3_vl")
    assert Path(found).parent == short_build.cache() == tmp_path / "vrft_aug"
    shipped.check(Path(found))
    monkeypatch.setattr(short_build, "_build", lambda *_: 1 / 0)
    assert short_build.folder("qwen3_vl") == found
