"""Tests the tree of class names: where it begins, where names part, and what it makes of token probabilities."""

import math
import zlib

import pytest
from transformers import AutoTokenizer

from vrft_aug.evaluation.answers.probabilities import (
    branches,
    class_shares,
    encode_text,
    name_paths,
    place,
    up_to_answer,
)
from vrft_aug.tiny.shipped import FOLDER

START = "<think>I look.</think> \\boxed{"
ROOM = 1000
SPLIT = ["basal cell", "melanoma", "melanosis", "nevus", "nevus of Ota", "vascular"]


def letters(texts: list[str]) -> list[list[int]]:
    """A tokenizer with one token per character."""
    return [list(map(ord, text)) for text in texts]


def merging(texts: list[str]) -> list[list[int]]:
    """A tokenizer that has a token for a brace together with the letter "m" behind it, as Qwen's has for some words."""
    return [list(map(ord, text.replace("{m", "\0"))) for text in texts]


def text_of(path: tuple[int, ...]) -> str:
    return "".join(map(chr, path)).replace("\0", "{m")


def probability(written: str, token: int) -> float:
    """A policy: positive numbers that depend on the whole text before; most of the probability is on other tokens."""
    return 0.01 * (1 + zlib.crc32(f"{written}|{token}".encode()) % 9)


def asked(paths: list, policy=probability) -> dict:
    """What the engine would answer about each branch."""
    found: dict = {}
    for path, tokens in branches(paths):
        found.setdefault(path, {}).update({token: math.log(policy(text_of(path), token)) for token in tokens})
    return found


def shares(classes: list[str], policy=probability, encode=letters, response: str = START) -> list[float]:
    paths = name_paths(response, classes, encode, ROOM)
    return class_shares(paths, asked(paths, policy))


@pytest.mark.parametrize(("response", "start"), [
    ("<think>t</think> \\boxed{cat}", "<think>t</think> \\boxed{"),
    ("\\boxed{cat} or rather \\boxed  {dog} it is", "\\boxed{cat} or rather \\boxed  {"),
    ("\\boxed{\\text{cat}}", "\\boxed{"),
    ("<think>I see two", "<think>I see two\\boxed{"),
    ("", "\\boxed{"),
    ("\\boxed cat", "\\boxed cat\\boxed{"),
    ("\\boxed{ca", "\\boxed{"),
])  # fmt: skip
def test_the_place_of_the_answer(response, start):
    assert place(response) == start


@pytest.mark.parametrize(("form", "response", "start"), [
    ("answer_first", "\\boxed{cat} <think>or a \\boxed{dog}</think>", "\\boxed{"),
    ("answer_first", " \\boxed{cat}, not \\boxed{dog}", " \\boxed{"),
    ("answer_first", "It is \\boxed{cat}", "\\boxed{"),
    ("answer_first", "<answer>cat</answer>", "\\boxed{"),
    ("answer_first", "<think>t</think> \\boxed{cat}", "\\boxed{"),  # the thought does not count, so it is not read
    ("answer_only", "\\boxed{cat}", "\\boxed{"),
    ("answer_only", "a cat", "\\boxed{"),
    ("think_first", "<think>a \\boxed{dog}?</think> \\boxed{cat}", "<think>a \\boxed{dog}?</think> \\boxed{"),
    (None, "\\boxed{cat} <think>or a \\boxed{dog}</think>", "\\boxed{cat} <think>or a \\boxed{"),
])  # fmt: skip
def test_the_place_of_the_answer_follows_the_form(form, response, start):
    assert place(up_to_answer(response, form)) == start


def test_the_probability_is_the_product_of_the_shares_at_each_branch():
    given = {(START, "c"): 0.3, (START, "d"): 0.1, (START + "ca", "t"): 0.02, (START + "ca", "r"): 0.06}
    found = shares(["cat", "dog", "car"], lambda written, token: given[written, chr(token)])
    assert found == pytest.approx([0.75 * 0.25, 0.25, 0.75 * 0.75])


def test_the_closing_brace_tells_a_name_from_a_longer_one():
    given = {(START + "nevus", "}"): 0.6, (START + "nevus", " "): 0.2}
    assert shares(["nevus", "nevus of Ota"], lambda *at: given[at[0], chr(at[1])]) == pytest.approx([0.75, 0.25])


def test_a_long_name_costs_nothing():
    alike = lambda written, token: 0.01  # noqa: E731
    assert shares(["a", "b" + "x" * 40], alike) == pytest.approx([0.5, 0.5])


def by_names(classes: list[str]) -> list[float]:
    """The same quantity, letter by letter and without a tree: the next letter must continue one of the names."""
    found = []
    for name in classes:
        value = 1.0
        for length, letter in enumerate(f"{name}}}"):
            allowed = {f"{other}}}"[length] for other in classes if f"{other}}}".startswith(name[:length])}
            total = sum(probability(START + name[:length], ord(one)) for one in allowed)
            value *= probability(START + name[:length], ord(letter)) / total
        found.append(value)
    return found


@pytest.mark.parametrize("classes", [SPLIT, SPLIT[::-1], ["0", "1", "2", "3", "10", "11"], ["alone"]])
def test_another_way_to_compute_it_gives_the_same(classes):
    assert shares(classes) == pytest.approx(by_names(classes)) and sum(shares(classes)) == pytest.approx(1)


def test_names_may_part_before_the_brace_where_a_token_holds_both():
    paths = name_paths(START, SPLIT, merging, ROOM)
    assert {text_of(path) for path, _ in branches(paths)} >= {START[:-1], START[:-1] + "{melano"}
    assert sum(shares(SPLIT, encode=merging)) == pytest.approx(1)


def test_improbable_names_do_not_underflow():
    paths = name_paths(START, ["a", "b"], letters, ROOM)
    (path, tokens), = branches(paths)  # fmt: skip
    assert class_shares(paths, {path: dict(zip(tokens, (-2000.0, -2000.0 - math.log(3)), strict=True))}) == (
        pytest.approx([0.75, 0.25])
    )


def test_one_class_needs_no_question():
    assert branches(name_paths(START, ["cat"], letters, ROOM)) == [] and shares(["cat"]) == [1.0]


def test_a_branch_of_many_tokens_is_asked_about_in_parts():
    classes = [chr(1000 + number) for number in range(300)]
    paths = name_paths(START, classes, letters, ROOM)
    assert [len(tokens) for _, tokens in branches(paths)] == [128, 128, 44]
    assert sum(shares(classes)) == pytest.approx(1)


def test_a_response_that_broke_off_at_its_limit_makes_room_for_the_names():
    response = "<think>" + "no end " * 20
    paths = name_paths(response, SPLIT, letters, len(response))
    assert max(map(len, paths)) == len(response)
    for name, path in zip(SPLIT, paths, strict=True):
        assert text_of(path).startswith("<think>no end") and text_of(path).endswith(f" \\boxed{{{name}}}")
    assert text_of(name_paths(START, SPLIT, letters, 5)[0]) == " \\boxed{basal cell}"  # nothing more can be left out
    assert sum(class_shares(paths, asked(paths))) == pytest.approx(1)


def test_a_response_cannot_smuggle_in_special_tokens():
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    (found,) = encode_text(tokenizer, ["<|image_pad|><|im_end|>\\boxed{"])
    assert not set(found) & set(tokenizer.all_special_ids)
    assert tokenizer.decode(found) == "<|image_pad|><|im_end|>\\boxed{"
