"""Objectives: which rewards make a score, for each task (eq. 8, 10).

An objective is a mapping task -> reward -> {weight, clip, the reward's own parameters}, one file of `conf/objective/`:

    grading:
      mfrs: {weight: 0.9, credit: [1.0, 0.25, 0.0625]}
      format: {weight: 0.1}

A reward's name is its module in this package. `weight` multiplies the reward; `clip`, where given, then keeps the
product in [-clip, clip]. A reward set to null is left out.
"""

import importlib
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import yaml

from vrft_aug.configs import CONF
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import TASKS

FOLDER = CONF / "objective"


@dataclass(frozen=True)
class Term:
    """One weighted reward of one task."""

    name: str
    reward: Callable[..., float]
    weight: float
    clip: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """A checked objective: picklable, and its `parts` name the same keys for every sample whatever the task."""

    terms: dict[str, tuple[Term, ...]]
    parts: tuple[str, ...]


def compose(objective: "str | Mapping | Objective") -> Objective:
    """The objective of a file's name in `conf/objective/`, of a mapping, or itself.

    Raises InputError on an unknown file, task, reward, parameter or choice, and on a task that is left out.
    """
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, str):
        return _named(objective)
    try:
        return _checked(json.dumps(objective))
    except TypeError:
        raise InputError(f"objective: must be a plain mapping of texts and numbers, found {objective!r}") from None


@lru_cache(maxsize=64)
def _named(name: str) -> Objective:
    return _checked(json.dumps(load(name)))


@lru_cache(maxsize=64)
def _checked(text: str) -> Objective:
    tasks = json.loads(text)
    if not isinstance(tasks, dict) or set(tasks) != set(TASKS):
        raise InputError(f"objective: it must say what to reward for each task of {', '.join(TASKS)}; found {tasks!r}")
    terms = {task: _terms(task, tasks[task]) for task in TASKS}
    every = [term for task in TASKS for term in terms[task]]
    clipped = [f"{term.name}_clipped" for term in every if term.clip is not None]
    return Objective(terms, tuple(dict.fromkeys([term.name for term in every] + clipped)))


def load(name: str) -> dict:
    """The mapping of `conf/objective/<name>.yaml`, its `defaults` merged as Hydra merges them."""
    file = FOLDER / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml"))) or f"none: {FOLDER} is missing"
        raise InputError(f"unknown objective {name!r}; known: {known}; or give the mapping itself")
    try:
        own = json.loads(json.dumps(yaml.safe_load(file.read_text())))  # so that an anchor's copies are separate
        bases = own.pop("defaults", ["_self_"])
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: must map each task to its rewards ({error})") from None
    if "_self_" not in bases:
        raise InputError(f"{file}: `defaults` must end with _self_, as what stands in the file wins")
    merged: dict = {}
    for base in bases:
        merged = _merge(merged, own if base == "_self_" else load(base))
    return merged


def rewards() -> list[str]:
    """The names of this package's rewards: the modules that have a function `reward`."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if "\ndef reward(" in p.read_text())


def _merge(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: _merge(base.get(key), value) for key, value in over.items()}


def _terms(task: str, rewards: Any) -> tuple[Term, ...]:
    given = rewards.items() if isinstance(rewards, dict) else ()
    terms = tuple(_term(task, name, spec) for name, spec in given if spec is not None)
    if not terms:
        raise InputError(f"objective: the task {task} has no reward; found {rewards!r}")
    return terms


def _term(task: str, name: str, spec: Any) -> Term:
    where = f"objective: {task}.{name}"
    if name not in rewards():
        raise InputError(f"{where}: unknown reward; known: {', '.join(rewards())}")
    if not isinstance(spec, dict) or not _is_number(spec.get("weight")):
        raise InputError(f"{where}: needs {{weight: <number>, ...}}, found {spec!r}")
    parameters = dict(spec)
    weight, clip = float(parameters.pop("weight")), parameters.pop("clip", None)
    if clip is not None and not (_is_number(clip) and clip > 0):
        raise InputError(f"{where}.clip: must be a number above 0 or null, found {clip!r}")
    reward = importlib.import_module(f"vrft_aug.rewards.{name}").reward
    known = {p.name: p for p in inspect.signature(reward).parameters.values() if p.kind is p.KEYWORD_ONLY}
    for key, value in parameters.items():
        if key not in known:
            raise InputError(f"{where}.{key}: unknown key; known: {', '.join(['weight', 'clip', *known])}")
        if not _fits(value, known[key].annotation):
            kind = inspect.formatannotation(known[key].annotation)
            raise InputError(f"{where}.{key}: must be {kind}, found {value!r}")
    return Term(name, reward, weight, clip, parameters)


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a value read from YAML is what the reward's function asks for."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return value in inner
    if origin is UnionType:
        return any(_fits(value, each) for each in inner)
    if origin is Sequence:
        return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
    return _is_number(value) if annotation is float else type(value) is annotation


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
