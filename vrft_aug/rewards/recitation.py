"""Recitation reward (eq. 7): BLEU between the reasoning and the knowledge in the prompt.

Eq. 7 is delta * BLEU(O_i, P): delta is this reward's weight in an objective (+0.2 or -2) and `clip` beside it keeps the
product in (-1, 1). BLEU is sacrebleu's sentence BLEU on [0, 1].
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import Response

ORDERS = (1, 2, 3, 4)  # n of the n-grams
LONGEST = 50_000  # characters of a hypothesis that are compared, ten times a long thought: it bounds the time of a call


def reward(
    response: Response,
    ground_truth: str,
    row: Mapping,
    *,
    hypothesis: Literal["think", "response"] = "think",
    reference: Literal["prompt", "knowledge", "classes"] = "prompt",
    brevity_penalty: bool = True,
    min_tokens: int = 0,
) -> float:
    """BLEU on [0, 1] of what was said against what the prompt said.

    hypothesis: the thought (all but the answer part; everything where no `</think>` closes it, so that leaving out the
        tags hides nothing), or the whole response.
    reference: the whole prompt (the paper's letter), the prompt's knowledge block, or each class's entry as one of
        several references.
    brevity_penalty: False leaves sacrebleu's penalty out, so that a short recitation weighs as much as a long one.
    min_tokens: a hypothesis of fewer tokens (sacrebleu's 13a) scores 0.
    Raises InputError where the row lacks the reference.
    """
    said = response.thought if hypothesis == "think" else response.text
    return bleu(said, references(row, reference), brevity_penalty=brevity_penalty, min_tokens=min_tokens)


def references(row: Mapping, which: str) -> tuple[str, ...]:
    """The row's reference texts, one or one a class."""
    if which == "prompt":
        if not row.get("prompt"):
            raise InputError("recitation: the row's extra_info has no `prompt`: prepare the data again")
        return (row["prompt"],)
    if row.get("knowledge") is None or not len(row["knowledge"]):
        raise InputError(f"recitation: reference={which}, but the row has no knowledge: prepare with prompt=knowledge")
    entries = tuple(f"{name}: {entry}" for name, entry in zip(row["classes"], row["knowledge"], strict=True))
    return entries if which == "classes" else ("\n".join(entries),)


def bleu(text: str, references: tuple[str, ...], *, brevity_penalty: bool = True, min_tokens: int = 0) -> float:
    """sacrebleu's sentence BLEU (13a tokens, 4-grams, exp smoothing, effective order) divided by 100.

    Tokens and formula are sacrebleu's. The n-grams of the last 128 reference sets are kept, as the responses to one
    prompt come together; only those of the hypothesis are counted anew.
    """
    counts, lengths = _reference(references)
    tokens = _tokenize(text[:LONGEST])
    if len(tokens) < max(min_tokens, 1):
        return 0.0
    correct = [sum(min(n, counts[g]) for g, n in _ngrams(tokens, k).items() if g in counts) for k in ORDERS]
    total = [max(len(tokens) - k + 1, 0) for k in ORDERS]
    closest = min(lengths, key=lambda length: (abs(length - len(tokens)), length)) if brevity_penalty else 0
    score = BLEU.compute_bleu(correct, total, len(tokens), closest, "exp", effective_order=True).score
    return min(max(score / 100, 0.0), 1.0)


@lru_cache(maxsize=128)
def _reference(references: tuple[str, ...]) -> tuple[Counter, list[int]]:
    """For each n-gram the most often that one reference has it, and the references' lengths in tokens."""
    counts, lengths = Counter(), []
    for tokens in map(_tokenize, references):
        lengths.append(len(tokens))
        for k in ORDERS:
            counts |= _ngrams(tokens, k)
    return counts, lengths


def _ngrams(tokens: list[str], k: int) -> Counter:
    return Counter(zip(*(tokens[i:] for i in range(k)), strict=False))


class _Tokenizer(Tokenizer13a):
    """sacrebleu's tokenizer without its two caches of 65,536 texts: no response comes twice."""

    def __init__(self):
        super().__init__()
        self._post_tokenizer = TokenizerRegexp.__call__.__wrapped__.__get__(self._post_tokenizer)

    __call__ = Tokenizer13a.__call__.__wrapped__


_tokenizer = _Tokenizer()


def _tokenize(text: str) -> list[str]:
    return _tokenizer(text.rstrip()).split()
