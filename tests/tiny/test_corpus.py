"""The frozen corpus of the tiny policy's tokenizer: it does not follow conf/dataset, and still fits today's prompts."""

import re
import shutil

import pytest
from toy_data import DATASETS, dataset_yaml

from vrft_aug.data.knowledge import reading
from vrft_aug.data.prompts.rendering import render
from vrft_aug.data.settings import Dataset
from vrft_aug.tiny import tokenizer as tiny_tokenizer

LIMIT = 704  # policy.max_prompt_length of the tiny policy
AROUND = 60  # tokens of the chat format, with 16 of the image
PHANTOMS = [name for name in DATASETS if name.startswith("phantom")]  # their names have several tokens by design
MODES = (None, "description", "attributes", "both")


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer.train_tokenizer(tiny_tokenizer.read_corpus())


def prompts(mode):
    """Today's classification prompts of all data sets with a bank."""
    for name in DATASETS:
        dataset = Dataset.of(dataset_yaml(name))
        if dataset.knowledge or (reading.BANK / f"{name}.yaml").exists():
            texts = reading.texts(reading.read_for(dataset), dataset.classes, mode) if mode else []
            yield render("classify", dataset, dataset.classes, texts)


def test_the_corpus_does_not_follow_a_new_data_set(tmp_path, monkeypatch):
    before = tiny_tokenizer.read_corpus()
    shutil.copytree(tiny_tokenizer.CONF / "dataset", tmp_path / "dataset")
    (tmp_path / "dataset" / "more.yaml").write_text("modality: zeugmatography\norgan: x\nclasses: [quokka]\n")
    monkeypatch.setattr(tiny_tokenizer, "CONF", tmp_path)
    assert any("zeugmatography" in text for text in tiny_tokenizer.collect_corpus()["texts"])
    assert tiny_tokenizer.read_corpus() == before and not any("zeugmatography" in text for text in before)


@pytest.mark.parametrize("mode", MODES)
def test_todays_prompts_survive_the_tokenizer_and_fit(tokenizer, mode):
    for text in prompts(mode):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text and len(ids) + AROUND <= LIMIT


def test_a_question_of_unknown_words_survives_the_tokenizer_and_fits(tokenizer):
    dataset = Dataset.of(dataset_yaml("slake"))
    options = ["pneumoperitoneum under the diaphragm", "hepatosplenomegaly", "图中没有病变", "no"]
    text = render("question", dataset, options, [], question="Which abnormality does the radiograph show (Fig. 3a)?")
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text and len(ids) + AROUND <= LIMIT


def share_of_single_tokens(tokenizer, texts):
    """The share of the different words in the texts that are one token, as they stand after a blank."""
    made_up = {name for phantom in PHANTOMS for name in Dataset.of(dataset_yaml(phantom)).classes}
    words = {word for text in texts for word in re.findall(r"[A-Za-z]+", text)} - made_up
    return sum(len(tokenizer.tokenize(f" {word}")) == 1 for word in words) / len(words)


def test_most_words_of_todays_prompts_are_one_token(tokenizer):
    """If this fails, the corpus is old: write it anew with `python -m vrft_aug.tiny.tokenizer`."""
    texts = [text for mode in MODES for text in prompts(mode)]
    assert share_of_single_tokens(tokenizer, texts) > 0.85
    assert share_of_single_tokens(tokenizer, ["zeugmatography quokka wombat numbat"]) == 0
