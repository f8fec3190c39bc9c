"""Reads and checks objectives: which rewards make up the score of each task (eq. 8, 10).

An objective is a mapping task -> reward -> {weight, clip, the reward's own parameters}; each file of `conf/objective/`
holds one:

    grading:
      mfrs: {weight: 0.9, credit: [1.0, 0.25, 0.0625]}
      format: {weight: 0.1}

A reward's name is its module in this package. `weight` multiplies the reward. `clip`, where given, keeps the product in
[-clip, clip]. A reward that is null is left out.
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

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

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
    """A checked objective. It can be pickled. `parts` are the keys of every sample's result, whatever its task."""

    terms: dict[str, tuple[Term, ...]]
    parts: tuple[str, ...]


def compose(objective: str | Mapping | Objective) -> Objective:
    """Check an objective, given as the name of a file in `conf/objective/`, a mapping, a config or an Objective.

    Raises InputError for an unknown file, task, reward, parameter or choice, and for a task that is left out.
    """
    if isinstance(objective, Objective):
        return objective
    if isinstance(objective, str):
        return _named(objective)
    plain: Any = OmegaConf.to_container(objective, resolve=True) if OmegaConf.is_config(objective) else objective
    try:
        return _checked(json.dumps(plain))  # as a text, because the cache needs a key that can be hashed
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


def load(name: str) -> dict[str, Any]:
    """The mapping of `conf/objective/<name>.yaml`, with its `defaults` merged as Hydra merges them."""
    file = FOLDER / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml"))) or f"none: {FOLDER} is missing"
        raise InputError(f"unknown objective {name!r}; known: {known}; or give the mapping itself")
    try:
        own = OmegaConf.load(file)
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise InputError(f"{file}: must map each task to its rewards ({error})") from None
    if not (isinstance(own, DictConfig) and own):
        raise InputError(f"{file}: must map each task to its rewards; found {own}")
    bases = own.pop("defaults", ["_self_"])
    if "_self_" not in bases:
        raise InputError(f"{file}: `defaults` must end with _self_, so that the file's own values win")
    merged = OmegaConf.merge(*(own if base == "_self_" else load(base) for base in bases))
    tasks: Any = OmegaConf.to_container(merged, resolve=True)
    return tasks


def rewards() -> list[str]:
    """The names of the rewards: the modules of this package that have a function `reward`."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if "\ndef reward(" in p.read_text())


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
    """Whether a value read from YAML fits the annotation of the reward's parameter."""
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
