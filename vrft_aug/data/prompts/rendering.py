"""Prompts and supervised answers, filled from the templates of the paper's A.5 in prompts/*.jinja."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jinja2

from vrft_aug.errors import InputError

FOLDER = Path(__file__).parent
IMAGE_MARK = "<image>"


@cache
def template(name: str) -> jinja2.Template:
    """The template prompts/<name>.jinja."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    try:
        return environment.get_template(f"{name}.jinja")
    except jinja2.TemplateNotFound:
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.jinja")))
        raise InputError(f"prompt.template={name}: no such template; one of {known}") from None


def render(name: str, dataset: Mapping[str, Any], classes: Sequence[str], knowledge: Sequence[str]) -> str:
    """The prompt's text, without the image mark. `knowledge`: one description a class, or nothing."""
    text = template(name).render(
        modality=dataset["modality"],
        organ=dataset["organ"],
        target=dataset["target"],
        classes=list(zip(classes, knowledge or [""] * len(classes), strict=True)),
        knowledge=bool(knowledge),
    )
    if IMAGE_MARK in text:
        raise InputError(f"the prompt of {dataset['name']} contains '{IMAGE_MARK}', which marks the image; reword it")
    return text


@lru_cache(maxsize=1024)
def answer(name: str, target: str, answer: str, think: bool) -> str:
    """The response that supervised fine-tuning teaches for a row of prompt template `name`."""
    return template(f"answer_{name}").render(target=target, answer=answer, think=think)
