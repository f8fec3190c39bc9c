r"""Computes how probable each class name is at the place of the answer, from log-probabilities of single tokens.

The place of the answer is the end of the response's last `\boxed{`; a response without one gets it at its end. Where
the prompt asks for the answer first, it is at the start of the response (`up_to_answer`). The question is: if the
policy had to write one of the listed names there, and then the closing brace, which would it write?

Response, name and brace are cut into tokens as one text, once per class. The results are a tree: where names begin
alike, they share a path, and they part at a branch. At a branch the policy's probabilities of the tokens that lead to a
name are divided by their sum, so that all other tokens count for nothing. A class has the product of these shares along
its path (y: the name's tokens, x: prompt, image and response, S: the tokens at a branch that lead to a name):

    P(class) = prod_t p(y_t | x, y_<t) / sum_{s in S(y_<t)} p(s | x, y_<t)

That is sampling at temperature 1 in which only the listed names may be written. The probabilities sum to 1. No
correction for the length of a name is needed: a token that has no alternative has the share 1, so a longer name costs
nothing. The closing brace tells names apart of which one begins with the other, as "nevus" and "nevus of Ota".
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from scipy.special import log_softmax

from vrft_aug.rewards.parsing import answer_part

Path = tuple[int, ...]  # token ids from the beginning of the response
Branch = tuple[Path, list[int]]  # a path, and tokens that may follow it
Encode = Callable[[list[str]], list[list[int]]]  # texts -> their token ids

BOX = "\\boxed{"
MOST = 128  # tokens per branch: vLLM gives the log-probabilities of no more in one request
ENDING = 8  # tokens at the end of a shared path, `\boxed{` among them, that are kept where tokens must be left out
_BOX = re.compile(r"\\boxed\s*+\{")  # as parsing.py reads it


def place(response: str) -> str:
    r"""The response up to and including its last `\boxed{`; with a `\boxed{` at its end if it has none."""
    ends = [found.end() for found in _BOX.finditer(response)]
    return response[: ends[-1]] if ends else response + BOX


def up_to_answer(response: str, form: str | None) -> str:
    r"""All of a response where the thought comes first, else its start up to the first `\boxed{`.

    What is behind that one knows the answer. It is empty where the response does not begin with an answer. form: as
    `parse` takes it.
    """
    if form in (None, "think_first"):
        return response
    part = answer_part(response, form)
    first = _BOX.search(part)
    return part[: first.end()] if first else ""


def encode_text(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Token ids of texts. What looks like a special token, such as an image's, is text: a policy may write it."""
    return tokenizer(texts, add_special_tokens=False, split_special_tokens=True).input_ids


def name_paths(response: str, classes: Sequence[str], encode: Encode, longest: int) -> list[Path]:
    r"""The tokens from the beginning of the response to the brace behind the name, for each class.

    longest: number of tokens that a path may have. Where a name finds no room, since the response broke off at its
    limit, tokens before the `\boxed{` are left out.
    """
    start = place(response)
    paths = [tuple(tokens) for tokens in encode([f"{start}{name}}}" for name in classes])]
    end = max(len(_shared(paths)) - ENDING, 0)
    cut = max(end - max(max(map(len, paths)) - longest, 0), 0)
    return [path[:cut] + path[end:] for path in paths]


def branches(paths: Sequence[Path]) -> list[Branch]:
    """The places where paths part, each with its next tokens; one with more than MOST of them occurs several times."""
    following: dict[Path, dict[int, None]] = defaultdict(dict)
    for path in paths:
        for length in range(len(_shared(paths)), len(path)):
            following[path[:length]][path[length]] = None
    parted = [(path, list(tokens)) for path, tokens in following.items() if len(tokens) > 1]
    return [(path, tokens[at : at + MOST]) for path, tokens in parted for at in range(0, len(tokens), MOST)]


def class_shares(paths: Sequence[Path], log_probs: Mapping[Path, Mapping[int, float]]) -> list[float]:
    """The probability of each class; they sum to 1.

    paths: one per class, from `name_paths`. log_probs: for the path of each branch, the natural logarithm of the
    probability of each of its tokens; a constant that is added to all of a branch changes nothing.
    """
    shares = {at: dict(zip(found, log_softmax(list(found.values())), strict=True)) for at, found in log_probs.items()}
    passed = [[share[path[len(at)]] for at, share in shares.items() if path[: len(at)] == at] for path in paths]
    return [float(np.exp(sum(logarithms))) for logarithms in passed]


def _shared(paths: Sequence[Path]) -> Path:
    """What all paths begin with."""
    return tuple(first for first, *_ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*paths, strict=False)))
