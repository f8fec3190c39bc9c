"""The lessons of the tiny policy keep what is held out, and their batches mark the right tokens."""

import random
import re
from itertools import pairwise

import numpy as np
import pytest
from transformers import Qwen2Tokenizer

from vrft_aug.data.phantoms import names
from vrft_aug.data.phantoms.findings import HELD_OUT, Finding, is_held_out, words
from vrft_aug.tiny import lessons, probes
from vrft_aug.tiny.encoding import Batch, Encoder, copying
from vrft_aug.tiny.lessons import Text
from vrft_aug.tiny.scenes import Scene

MADE_UP = re.compile(rf"(?:{'|'.join(names.SYLLABLES)}){{2,3}}")
LISTED = re.compile(r"^- ([^:\n]+?)(?:: .*|\.)?$", re.MULTILINE)
ANSWERED = re.compile(r", which fits (.+?) </think> \\boxed\{\1\}<\|im_end\|>")
PARTS = ["one dark ring in the centre", "two bright crosses in the upper left"]
SCENE = Scene(["Brinsol", "Drexnur"], PARTS, PARTS.__getitem__, 1)


def reading(number: int = 200) -> list[Text]:
    rng = random.Random(0)
    return [lessons.reading_lesson(rng, 208) for _ in range(number)]


def seeing(number: int = 300) -> list[tuple[Text, Scene]]:
    rng = random.Random(0)
    return [lessons.seeing_lesson(rng, 11) for _ in range(number)]


def lists(text: Text) -> list[tuple[list[str], list[str]]]:
    """For each list of classes: its names, and the names that the responses after it give."""
    found = re.split(r"Categories[a-z ]* are as follows:\n", text.text)[1:]
    return [(LISTED.findall(part), ANSWERED.findall(part)) for part in found]


def held_out_names(found: list[str]) -> list[str]:
    """The made-up names among them that are held out; real classes and letters are not made up."""
    made_up = [name for name in found if MADE_UP.fullmatch(name.lower()) and name[0].isupper()]
    return [name for name in made_up if names.is_held_out_name(name)]


def told_weights(text: Text, words: str) -> list[float]:
    """The weights of the pieces of the thought, where the text tells `words` in it; else an empty list."""
    start = text.text.find(f"<think> {words},") + len("<think>")
    end = start + len(f" {words}")
    return [weight for last, weight in text.pieces if start < last <= end] if start >= len("<think>") else []


def test_no_lesson_teaches_a_held_out_combination():
    """A lesson may tell one with a wrong word in it; but that word is given, and the image shows another one."""
    texts, told = [*reading(), *(text for text, _ in seeing())], {words(one) for one in HELD_OUT}
    assert not [one for one in told for text in texts if one in text.text and 0 not in told_weights(text, one)]
    assert not [one for one in told for text in texts if re.search(rf"^- .*: {one}\.?$", text.text, re.MULTILINE)]
    assert sum(words(Finding(0, 0, 1, 1)) in text.text for text in texts), "one that is not held out does occur"


def test_a_misread_thought_is_wrong_in_one_given_word_and_right_after_it():
    """Names alone only; the wrong word is never the place, after which nothing is left to be told right."""
    misread = 0
    for text, shown in seeing():
        if not text.queries or not isinstance(shown, Finding):
            continue
        (start, end, _, known) = text.queries[0]
        given = [text.text[first:last] for (first, _), (last, weight) in pairwise([(start, 1.0), *text.pieces])
                 if start < last <= end and not weight]  # fmt: skip
        right = words(shown)
        if text.text[start:end] != f" {right}":
            misread += 1
            assert len(given) == 1 and not known and text.text[start:end].endswith(right.partition(" in the ")[2])
        else:
            assert not given
    assert misread > 20


def test_no_lesson_shows_a_held_out_combination():
    shown = [one for _, one in seeing()]
    assert not any(isinstance(one, Finding) and is_held_out(one) for one in shown)
    assert sum(isinstance(one, Finding) for one in shown) > 200


def test_no_lesson_has_a_held_out_name():
    texts = [*reading(), *(text for text, _ in seeing())]
    found = [name for text in texts for names, _ in lists(text) for name in names]
    assert len(set(found)) > 1000 and not held_out_names(found)


def test_all_that_a_probe_asks_for_is_held_out():
    rng, numbers = random.Random(0), np.random.default_rng(0)
    asked = [probes.held_out_scene(rng, numbers, 4) for _ in range(50)]
    assert all(held_out_names(list(one.names)) == list(one.names) for one in asked)
    assert all(is_held_out(one.shown) for one in asked)


def test_each_class_is_asked_for_at_most_once_per_list():
    for text in reading():
        for listed, answered in lists(text):
            assert len(set(listed)) == len(listed) >= len(answered) == len(set(answered)) > 0
            assert set(answered) <= set(listed)
        assert sum(len(answered) for _, answered in lists(text)) == len(text.queries)


def test_a_seeing_lesson_has_the_prompt_of_the_product(processor):
    head, tail = lessons.prompt(random.Random(0), SCENE, True)
    text = Text()
    text.add(lessons.START + lessons.IMAGE + head)
    lessons.list_classes(text, SCENE, True)
    content = lessons.rendering.render("classify", lessons.dataset(SCENE), SCENE.names, SCENE.descriptions)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": content}]}]
    prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    organ = lessons.dataset(SCENE, random.Random(0)).organ
    assert text.text + tail == prompt.replace(lessons.MARK, lessons.IMAGE).replace("phantom", organ)


@pytest.fixture(scope="module")
def tokenizer(processor) -> Qwen2Tokenizer:
    return processor.tokenizer


def batch(tokenizer, thought: float, known: bool = True) -> tuple[Batch, list[str]]:
    """A text of two classes with a query for the second one, and its tokens."""
    text = Text()
    text.add("Categories:\n")
    lessons.list_classes(text, SCENE, known)
    lessons.answer(text, SCENE, 1, known, thought)
    return Encoder(tokenizer, 128).batch([text]), tokenizer.tokenize(text.text)


def said(tokens: list[str], first: int, end: int) -> str:
    return "".join(tokens[first:end]).replace("Ġ", " ").replace("Ċ", "\n")


def test_the_marks_are_on_the_right_tokens(tokenizer):
    found, tokens = batch(tokenizer, 1.0)
    name = tokens.index("Drex", tokens.index("Ġfits"))
    assert tokens[name - 2 : name + 2] == ["Ġfits", "Ġ", "Drex", "nur"]
    assert found.firsts == [(0, name)]
    assert [said(tokens, first, end) for _, first, end in found.told] == [f" {PARTS[1]}"]


def test_names_alone_give_nothing_to_know(tokenizer):
    found, tokens = batch(tokenizer, 1.0, known=False)
    assert not found.firsts and len(found.told) == 1
    assert found.weights[0, tokens.index("Drex", tokens.index("Ġfits"))] == 1.5, "the first token is not worth more"


@pytest.mark.parametrize("thought", [0.0, 1.0])
def test_the_weights_are_on_the_response(tokenizer, thought):
    found, tokens = batch(tokenizer, thought)
    weights = dict(zip(range(len(tokens)), found.weights[0].tolist(), strict=False))
    start = tokens.index("<think")
    assert not any(weights[at] for at in range(start)), "the prompt is given"
    fits = tokens.index("Ġfits")
    assert all((weights[at] > 0) == (thought > 0) for at in range(start, fits + 1)), "the thought is given, or learnt"
    assert [weights[fits + step] for step in (1, 2, 3)] == [1.0, 4.0, 1.5], "the first token of the name counts most"
    assert all(weights[at] > 0 for at in range(fits + 1, len(tokens)))
    assert found.weights[0, len(tokens) :].sum() == 0


def test_words_that_an_image_shows_count_twice(tokenizer):
    found, tokens = batch(tokenizer, 1.0)
    start = found.told[0][1]
    weights = dict(zip(tokens[start:], found.weights[0, start:].tolist(), strict=False))
    assert [weights[word] for word in ("Ġtwo", "Ġbright", "Ġin", "Ġthe", "Ġupper")] == [2, 2, 1, 1, 2]


def test_a_text_is_cut_to_the_length_and_its_marks_with_it(tokenizer):
    text = Text()
    lessons.list_classes(text, SCENE, True)
    lessons.answer(text, SCENE, 0, True, 0.0)
    found = Encoder(tokenizer, 16).batch([text])
    assert found.tokens.shape == (1, 16) and not (found.firsts or found.told)
    assert not Encoder(tokenizer, 16).fits(text) and Encoder(tokenizer, 128).fits(text)


def test_a_copied_sequence_repeats_and_only_its_repetition_is_learnt(tokenizer):
    sequence = copying(random.Random(0), tokenizer)
    found = Encoder(tokenizer, 128).batch([], [sequence])
    row, length = found.tokens[0].tolist(), len(sequence)
    assert row[length:] == row[:-length] and row[:length] == sequence
    assert found.weights[0].nonzero()[0].item() == length + 3
