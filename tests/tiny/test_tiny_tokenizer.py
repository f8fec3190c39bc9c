"""The tiny policy's tokenizer: any text, Qwen's chat format, one form per name and shape, sixteen tokens per image."""

import numpy as np
import pytest

from vrft_aug.data.phantoms import findings, names
from vrft_aug.tiny import tokenizer as tiny_tokenizer

CHAT = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
DRAWN = [names.draw_name(np.random.default_rng(seed), held_out) for seed in range(40) for held_out in (True, False)]


@pytest.fixture(scope="module")
def tokenizer(processor):
    return processor.tokenizer


def test_the_shipped_tokenizer_is_what_the_frozen_corpus_gives(folder, tmp_path):
    tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus()).save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("text", ["", "Zürich ✓ 東京\n\n\ttab", "\\boxed{ring}", "[12, 345]", "<think>a</think>"])
def test_any_text_survives(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", [*DRAWN, "melanocytic nevi", "Glomerular endothelial cells"])
def test_a_name_has_the_same_tokens_wherever_it_occurs(tokenizer, name):
    """In the list of the classes, in the thought and in the box, so that it can be copied."""
    listed = tokenizer.tokenize(f"- {name}: one")[2:-2]
    assert "".join(listed).replace("Ġ", " ") == name
    assert tokenizer.tokenize(f"- {name}.\n")[2 : 2 + len(listed)] == listed
    assert tokenizer.tokenize(f" fits {name} </")[2 : 2 + len(listed)] == listed
    boxed = tokenizer.tokenize(f"\\boxed{{{name}}}")
    assert boxed == ["\\", "boxed", "{", *listed, "}"]


@pytest.mark.parametrize("name", DRAWN)
def test_a_made_up_name_is_short(tokenizer, name):
    assert len(tokenizer.tokenize(name)) <= 3, "one token per syllable"


@pytest.mark.parametrize("shape", findings.SHAPES)
def test_a_shape_has_one_form_and_its_plural_one_token_more(tokenizer, shape):
    one, many = (tokenizer.tokenize(f" dark {findings.plural(shape, number)} in") for number in (0, 1))
    assert one == ["Ġdark", f"Ġ{shape}", "Ġin"]
    assert many == ["Ġdark", f"Ġ{shape}", "es" if shape == "cross" else "s", "Ġin"]


def test_prompt_words_are_short_and_digits_single(tokenizer):
    template = (tiny_tokenizer.TEMPLATES / "classify.jinja").read_text()
    prompt = next(line for line in template.splitlines() if line.startswith("You FIRST think"))
    assert len(tokenizer.tokenize(prompt)) < 1.4 * len(prompt.split())
    assert tokenizer.tokenize("2048") == list("2048")


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
