"""The recitation reward agrees with sacrebleu, has the readings that its parameters name, and keeps no text."""

import random
import tracemalloc

import pytest
import sacrebleu
from reward_rows import BREAST, KNOWLEDGE, think

from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score, recitation
from vrft_aug.rewards.parsing import parse

TEXT = "the dark mass, taller than wide (2.5 mm) has spiculated margins; layered fat &amp; gland 良性 no-mass 3,5"
WORDS = TEXT.split()
ENTRIES = [f"{name}: {entry}" for name, entry in zip(BREAST["classes"], KNOWLEDGE, strict=True)]


def words(rng: random.Random, most: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(0, most)))


def recited(thought: str, row: dict = BREAST, **reading) -> float:
    response = parse(think(r"\boxed{malignant}", thought), "classification")
    return recitation.reward(response, "malignant", row, **reading)


def test_the_cached_path_agrees_with_sacrebleu_on_a_thousand_pairs():
    rng = random.Random(0)
    for _ in range(1000):
        references = tuple(words(rng, 60) or "x" for _ in range(rng.choice((1, 1, 3))))
        text = words(rng, 80)
        assert recitation.bleu(text, references) == pytest.approx(
            sacrebleu.sentence_bleu(text, list(references)).score / 100, abs=1e-9
        )


def test_every_reading_on_the_knowledge_block():
    block = "\n".join(ENTRIES)
    assert recited(block) == recited(block, reference="knowledge") == pytest.approx(1.0)
    assert recited(ENTRIES[0], reference="classes") == pytest.approx(1.0)
    assert recited(ENTRIES[0], reference="prompt") < recited(ENTRIES[0], reference="knowledge") < 0.7
    assert recited(block, hypothesis="response", reference="knowledge") < 1.0  # tags and answer dilute it


def test_without_brevity_penalty_a_short_copy_weighs_as_much_as_a_long_one():
    assert recited(ENTRIES[0], brevity_penalty=False) == pytest.approx(1.0)
    assert recited(ENTRIES[0]) < 0.5
    assert recited("nothing alike", brevity_penalty=False) == 0.0


def test_a_hypothesis_below_the_minimum_scores_nothing():
    length = len(sacrebleu.tokenizers.tokenizer_13a.Tokenizer13a()(ENTRIES[0]).split())
    assert recited(ENTRIES[0], reference="classes", min_tokens=length) == pytest.approx(1.0)
    assert recited(ENTRIES[0], reference="classes", min_tokens=length + 1) == 0.0


def test_leaving_out_the_tags_does_not_escape_the_penalty():
    copied = "\n".join(ENTRIES)
    for response in (think(r"\boxed{malignant}", copied), f"<think>{copied}", copied, f"{copied}</think>"):
        result = compute_score("d", response, "malignant", BREAST, "recite_neg")
        assert result["recitation"] > 0.9
        assert result["recitation_clipped"] == 1.0


def test_copying_the_instructions_pays_more_than_knowledge_only_against_the_whole_prompt():
    instructions, _, _ = BREAST["prompt"].partition(" malignant:")
    assert recited(instructions, reference="prompt") > recited(ENTRIES[0], reference="prompt")
    assert recited(instructions) < recited(ENTRIES[0]) / 10


@pytest.mark.parametrize("reference", ["prompt", "knowledge", "classes"])
def test_a_row_without_the_reference_is_an_error(reference: str):
    with pytest.raises(InputError, match="prepare"):
        recited("x", BREAST | {"prompt": "", "knowledge": []}, reference=reference)


def test_memory_stays_flat():
    """No response is kept: once the n-grams of 128 prompts are in the cache, further calls use no more memory."""
    rng = random.Random(0)

    def memory_after(calls: int) -> int:
        for _ in range(calls):
            row = BREAST | {"prompt": f"prompt {rng.randrange(150)} {BREAST['prompt']}"}
            response = think(r"\boxed{malignant}", f"{rng.random()} {words(rng, 60)}")
            compute_score("d", response, "malignant", row, "recite_neg")
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = memory_after(2000)
    grown = memory_after(2000) - before
    tracemalloc.stop()
    assert grown < 600_000  # Python's own free lists; the texts of 2,000 responses would take several times as much
