"""Reads and checks one weighted reward of an objective, such as `mfrs: {weight: 0.9, credit: [1.0, 0.5]}`."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from vrft_aug.errors import InputError
from vrft_aug.rewards.schedule import Schedule, is_number


@dataclass(frozen=True)
class Term:
    """One weighted reward of one task. schedules: its parameters that change during a training (schedule.py)."""

    name: str
    reward: Callable[..., float]
    weight: float
    clip: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)

    def share(self, value: float) -> float:
        """What this reward's value adds to the score: weight * value, kept in [-clip, clip] where there is a clip."""
        share = self.weight * value
        return share if self.clip is None else max(-self.clip, min(self.clip, share))


def rewards() -> list[str]:
    """The names of the rewards: the modules of this package that have a function `reward`."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if "\ndef reward(" in p.read_text())


def read_term(task: str, name: str, spec: Any) -> Term:
    """The term of an objective's `<task>: {<name>: <spec>}`. Raises InputError with the key that is wrong."""
    where = f"objective: {task}.{name}"
    if name not in rewards():
        raise InputError(f"{where}: unknown reward; known: {', '.join(rewards())}")
    if not isinstance(spec, dict) or not is_number(spec.get("weight")):
        raise InputError(f"{where}: needs {{weight: <number>, ...}}, found {spec!r}")
    parameters = dict(spec)
    weight, clip = float(parameters.pop("weight")), parameters.pop("clip", None)
    if clip is not None and not (is_number(clip) and clip > 0):
        raise InputError(f"{where}.clip: must be a number above 0 or null, found {clip!r}")
    reward = importlib.import_module(f"vrft_aug.rewards.{name}").reward
    schedules = {
        key: Schedule.of(f"{where}.{key}", parameters.pop(key))
        for key, value in spec.items()
        if isinstance(value, dict)
    }
    _check(where, reward, parameters | {key: schedule.end for key, schedule in schedules.items()})
    return Term(name, reward, weight, clip, parameters, schedules)


def _check(where: str, reward: Callable[..., float], parameters: dict[str, Any]) -> None:
    """Raise InputError for a parameter that the reward does not have, or a value of another type."""
    known = {p.name: p for p in inspect.signature(reward).parameters.values() if p.kind is p.KEYWORD_ONLY}
    for key, value in parameters.items():
        if key not in known:
            raise InputError(f"{where}.{key}: unknown key; known: {', '.join(['weight', 'clip', *known])}")
        if not _fits(value, known[key].annotation):
            kind = inspect.formatannotation(known[key].annotation)
            raise InputError(f"{where}.{key}: must be {kind}, found {value!r}")


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a value read from YAML fits the annotation of the reward's parameter."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return value in inner
    if origin is UnionType:
        return any(_fits(value, each) for each in inner)
    if origin is Sequence:
        return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
    return is_number(value) if annotation is float else type(value) is annotation
