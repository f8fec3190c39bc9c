"""Measures how much a thought recites the prompt's knowledge: sentence BLEU (eq. 7).

Eq. 7 is delta * BLEU(O_i, P). In an objective, delta is the weight of this reward (+0.2 or -2), and `clip` keeps the
product in [-1, 1]. BLEU is sacrebleu's sentence BLEU, from 0 to 1. docs/recitation.md shows what each reading pays.
"""

from collections import Counter
from functools import lru_cache
from typing import Literal

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo

ORDERS = (1, 2, 3, 4)  # n of the n-grams
LONGEST = 50_000  # characters of a hypothesis that are compared, ten times a long thought; it bounds the time per call


def reward(
    response: Response,
    ground_truth: str,
    row: ExtraInfo,
    *,
    hypothesis: Literal["think", "response"] = "think",
    reference: Literal["prompt", "knowledge", "classes"] = "knowledge",
    brevity_penalty: bool = True,
    min_tokens: int = 0,
) -> float:
    """BLEU of the response against the prompt's knowledge, from 0 to 1.

    hypothesis: the thought or the whole response. The thought is all but the answer part. Without `</think>` it is the
        whole text, so that a policy cannot avoid the penalty by leaving the tags out.
    reference: the prompt's knowledge block (the paper's prose), the whole prompt (P of eq. 7 to the letter), or each
        class's entry as one of several references.
    brevity_penalty: False leaves sacrebleu's penalty out, so that a short recitation counts as much as a long one.
    min_tokens: a hypothesis with fewer tokens (sacrebleu's 13a) scores 0.
    Raises InputError where the row lacks the reference.
    """
    said = response.thought if hypothesis == "think" else response.text
    return bleu(said, references(row, reference), brevity_penalty=brevity_penalty, min_tokens=min_tokens)


def references(row: ExtraInfo, which: str) -> tuple[str, ...]:
    """The row's reference texts: one, or one per class where `which` is "classes". Raises InputError without them."""
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

    Tokens and formula are sacrebleu's. The responses to one prompt come together, so the n-grams of the last 128
    reference sets are kept; each call counts only the n-grams of its hypothesis.
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
def _reference(references: tuple[str, ...]) -> tuple[Counter[tuple[str, ...]], list[int]]:
    """For each n-gram its highest count in any one reference, and the references' lengths in tokens."""
    counts: Counter[tuple[str, ...]] = Counter()
    tokenized = [_tokenize(text) for text in references]
    for tokens in tokenized:
        for k in ORDERS:
            counts |= _ngrams(tokens, k)
    return counts, [len(tokens) for tokens in tokenized]


def _ngrams(tokens: list[str], k: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[i:] for i in range(k)), strict=False))


# sacrebleu caches 65,536 texts in each of two functions; `__wrapped__` is the function without its cache.
_tokenizer = Tokenizer13a()
_tokenizer._post_tokenizer = TokenizerRegexp.__call__.__wrapped__.__get__(_tokenizer._post_tokenizer)


def _tokenize(text: str) -> list[str]:
    return Tokenizer13a.__call__.__wrapped__(_tokenizer, text.rstrip()).split()
