"""Fills the templates of the paper's appendix A.5 (prompts/*.jinja): prompts and supervised answers."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import jinja2

from vrft_aug.data.settings import Dataset, Prompt
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import FORMS

FOLDER = Path(__file__).parent
IMAGE_MARK = "<image>"
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def with_article(phrase: str) -> str:
    """The phrase after `a` or `an`, by its first sound: "a chest X-ray", "an axial", "an ultrasound", "a unilateral".

    A word in capitals of up to four letters is spelled, as in "an X-ray", "an MRI", "a CT".
    """
    word = re.match(r"[A-Za-z]*", phrase)[0]  # type: ignore[index]  # the pattern matches any text
    if word.isupper() and len(word) <= 4:
        return f"{'an' if word[0] in 'AEFHILMNORSX' else 'a'} {phrase}"
    return f"{'an' if re.match('(?!eu|uni|uro|one)[aeiou]', phrase, re.IGNORECASE) else 'a'} {phrase}"


TEMPLATES.filters["with_article"] = with_article


def template(name: str) -> jinja2.Template:
    """The template prompts/<name>.jinja. Raises InputError if there is none."""
    try:
        return TEMPLATES.get_template(f"{name}.jinja")
    except jinja2.TemplateNotFound:
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.jinja")))
        raise InputError(f"prompt.template={name}: no such template; use one of {known}") from None


def render(
    name: str, dataset: Dataset, classes: Sequence[str], knowledge: Sequence[str], form: str = FORMS[0],
    confidence: bool = False, images: int = 1, question: str = "",
) -> str:
    """The prompt's text, without the image marks. knowledge: one description per class, or nothing. form, confidence:
    see settings.Prompt. images: how many it is about. question: what the template `question` asks; the classes are its
    options."""
    text = template(name).render(
        modality=dataset.modality,
        organ=dataset.organ,
        target=dataset.target,
        finding=dataset.finding or dataset.target,
        classes=list(zip(classes, knowledge or [""] * len(classes), strict=True)),
        knowledge=bool(knowledge),
        form=form,
        confidence=confidence,
        images=images,
        question=question,
    )
    if IMAGE_MARK in text:
        raise InputError(f"the prompt of {dataset.name} contains '{IMAGE_MARK}', which marks the image; reword it")
    return text


def marks(dataset: Dataset, shown: Sequence[int] = (0,)) -> str:
    """What stands before the prompt's text: one mark per image, each in a line with its name where views have names.

    shown: which of the data set's images, from 0 on.
    """
    views = [dataset.views[image] if dataset.views else "" for image in shown]
    if any(IMAGE_MARK in view for view in views):
        raise InputError(f"dataset.views of {dataset.name} contains '{IMAGE_MARK}', which marks the image; reword it")
    return template("images").render(views=views)


def divided(content: str) -> tuple[str, str]:
    """The two parts of a message: up to its last image mark and the end of that line, and the prompt's text."""
    text = content.rpartition(IMAGE_MARK)[2]
    line, newline, rest = text.partition("\n")
    text = rest if newline and not line else text
    return content[: len(content) - len(text)], text


def chat_parts(content: str) -> list[dict[str, str]]:
    """A message as a processor's chat template takes it, and as verl divides it: texts, and images in their places."""
    texts = content.split(IMAGE_MARK)
    parts: list[dict[str, str]] = [{"type": "text", "text": texts[0]}] if texts[0] else []
    for text in texts[1:]:
        parts.append({"type": "image"})
        parts += [{"type": "text", "text": text}] if text else []
    return parts


@lru_cache(maxsize=1024)
def answer(prompt: Prompt, target: str, answer: str, confidence: float | None = None) -> str:
    """The response to learn in supervised fine-tuning, for a prompt of this template and form. confidence: None states
    none."""
    facts = {"form": prompt.form, "confidence": confidence}
    return template(f"answer_{prompt.template}").render(target=target, answer=answer, **facts)
