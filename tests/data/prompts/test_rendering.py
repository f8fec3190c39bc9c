"""The prompt is the paper's template (A.5) to the letter, with or without what each class looks like."""

import re

import pytest
from toy_data import CLASSIFIED, DATASETS, compose_config, dataset_yaml, toy_dataset

from vrft_aug.data.knowledge import reading
from vrft_aug.data.prompts.rendering import answer, render, with_article
from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards import compute_score
from vrft_aug.rewards.parsing import parse

A5 = (
    "This is {article} {modality} image of {organ}. Please identify the category of the {organ} based on the image. "
    "Categories and their typical descriptions are as follows: {list}. You FIRST think about the reasoning process as "
    "an internal monologue and then provide the final answer. The reasoning process MUST BE enclosed within <think> "
    "</think> tags. The final answer MUST BE put in \\boxed{{...}}."
)


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", [name for name in CLASSIFIED if name != "folder"])
def test_the_prompt_is_the_papers_template(name):
    dataset = Dataset.of(dataset_yaml(name))
    texts = reading.texts(reading.read_for(dataset), dataset.classes, "description")
    shown = " ".join(f"- {name}: {text}" for name, text in zip(dataset.classes, texts, strict=True))
    article = "an" if name == "organa" else "a"
    wanted = A5.format(article=article, modality=dataset.modality, organ=dataset.organ, list=shown)
    assert one_line(render("classify", dataset, dataset.classes, texts)) == wanted


def test_the_baseline_has_the_names_alone_and_ends_its_list_with_a_full_stop():
    text = render("classify", toy_dataset(), ["a", "b"], [])
    assert "Categories are as follows:\n- a\n- b.\nYou FIRST" in text and "descriptions" not in text


def test_a_description_with_a_full_stop_gets_no_second_one():
    bank = {"classes": {name: reading.full("a bright spot. Often round.") for name in "ab"}}
    text = render("classify", toy_dataset(), ["a", "b"], reading.texts(bank, ["a", "b"], "description"))
    assert "- a: a bright spot. Often round\n- b: a bright spot. Often round.\nYou" in text


@pytest.mark.parametrize(("phrase", "article"), [
    ("axial abdominal CT", "an"), ("chest X-ray", "a"), ("X-ray", "an"), ("MRI", "an"), ("CT", "a"), ("OCT", "an"),
    ("ultrasound", "an"), ("unilateral mammography", "a"), ("endoscopy", "an"), ("H&E histology", "an"),
    ("SPECT", "a"), ("3D ultrasound", "a"), ("urography", "a"),
])  # fmt: skip
def test_the_article_follows_the_first_sound(phrase, article):
    assert with_article(phrase) == f"{article} {phrase}"


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_sets_article_is_an_before_a_vowel_alone(name):
    dataset = Dataset.of(dataset_yaml(name))
    article = "an" if dataset.modality[0] in "aeio" else "a"  # no modality of ours begins with u or an abbreviation
    assert render("classify", dataset, dataset.classes, []).startswith(f"This is {article} {dataset.modality} image")


@pytest.mark.parametrize(("overrides", "message"), [
    (["prompt.attributes=everything"], "prompt.attributes=everything: must be one of description, attributes, both"),
    (["prompt.attributes=both"], "prompt.attributes=both: this prompt has no knowledge; use prompt=knowledge"),
    (["prompt.knowledge=perhaps"], "prompt.knowledge=perhaps: must be true or false"),
    (["prompt.aliases=2"], "prompt.aliases=2: must be true or false"),
])
def test_a_prompt_that_cannot_be_is_refused(overrides, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Prompt.of(compose_config(*overrides).prompt)


ASKS = {"think_first": "You FIRST think", "answer_first": "You FIRST provide the final answer and then explain",
        "answer_only": "Provide the final answer directly, without any reasoning."}  # fmt: skip
BOX_ASKS = {"think_first": "First output the thinking", "answer_first": "First output the final answer",
            "answer_only": "Output the final answer alone"}  # fmt: skip


@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("form", ASKS)
def test_the_last_line_asks_for_the_form_and_sft_teaches_it(form, confidence):
    prompt = Prompt.of(compose_config(f"prompt.form={form}", f"prompt.confidence={str(confidence).lower()}").prompt)
    texts = [render(name, toy_dataset(), ["a", "b"], [], form, confidence) for name in ("classify", "localize")]
    for text, asks in zip(texts, (ASKS, BOX_ASKS), strict=True):
        assert [text.count(one) for one in asks.values()] == [int(one == form) for one in asks]
        assert ("<think>" in text) == (form != "answer_only") and ("<confidence>" in text) == confidence
        assert text == text.strip()
    row = {"task": "classification", "classes": ["a", "b"], "form": form, "confidence": confidence}
    taught = answer(prompt, "lesion", "a", 1.0 if confidence else None)
    assert compute_score("d", taught, "a", row, "rlcr" if confidence else "accuracy")["score"] == pytest.approx(1.0)
    assert parse(taught, "classification", form=form).confidence == (1.0 if confidence else None)


def test_the_prompt_shows_the_description_by_default():
    assert Prompt.of(compose_config("prompt=knowledge").prompt).attributes == "description"
    assert Prompt.of(compose_config("prompt=knowledge", "prompt.attributes=both").prompt).attributes == "both"
