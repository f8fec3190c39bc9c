"""Reads and checks objectives: which rewards make up the score of each task (eq. 8, 10).

An objective is a mapping task -> reward -> {weight, clip, the reward's own parameters}; each file of `conf/objective/`
holds one:

    grading:
      mfrs: {weight: 0.9, credit: [1.0, 0.25, 0.0625]}
      format: {weight: 0.1}

A reward's name is its module in this package. `weight` multiplies the reward. `clip`, where given, keeps the product in
[-clip, clip]. A reward that is null is left out. A parameter may change during a training (schedule.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vrft_aug.configs import CONF
from vrft_aug.errors import InputError
from vrft_aug.rewards.parsing import QUESTION, TASKS
from vrft_aug.rewards.term import Term, read_term

FOLDER = CONF / "objective"
BESIDE_THE_ANSWER = ("format", "recitation", "length", "brier")


@dataclass(frozen=True)
class Objective:
    """A checked objective. It can be pickled. `parts` are the keys of every sample's result, whatever its task."""

    terms: dict[str, tuple[Term, ...]]
    parts: tuple[str, ...]

    @property
    def scheduled(self) -> bool:
        """Whether a parameter of some reward changes during a training."""
        return any(term.schedules for terms in self.terms.values() for term in terms)

    def needs_knowledge(self, task: str) -> bool:
        """Whether the task has the reward for reciting, whatever its reference: names alone are nothing to recite."""
        return self.has("recitation", task)

    def has(self, reward: str, task: str) -> bool:
        return any(term.name == reward for term in self.terms[task])

    def main(self, task: str) -> tuple[str, ...]:
        """The rewards for a right answer: all that weigh at least half as much as the heaviest one.

        Structure (`format`), way of reasoning (`recitation`), `length` and stated confidence (`brier`) are no answer,
        whatever their weight.
        """
        weights = {term.name: term.weight for term in self.terms[task] if term.name not in BESIDE_THE_ANSWER}
        return tuple(name for name, weight in weights.items() if weight >= max(weights.values()) / 2)


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


def check_knowledge(objective: Objective, task: str, has_knowledge: bool) -> None:
    """Raise InputError where a task's objective pays for reciting and the rows' prompt has no knowledge.

    Questions never have any, so their part of an objective does not recite, and one that recites elsewhere is refused:
    it would quietly be accuracy.
    """
    if task == QUESTION and not has_knowledge and objective.needs_knowledge("classification"):
        raise InputError("objective: recitation: closed questions have no knowledge to recite; choose an objective "
                         "without recitation, as objective=accuracy")  # fmt: skip
    if objective.needs_knowledge(task) and not has_knowledge:
        raise InputError(f"objective: {task}.recitation: the prompt has no knowledge to recite; prepare the data with "
                         "prompt=knowledge, or choose an objective without recitation")


def check_form(objective: Objective, task: str, form: str, asks_confidence: bool) -> None:
    """Raise InputError where a task's objective pays for a thought or a confidence that the prompt does not ask for."""
    if objective.has("recitation", task) and form == "answer_only":
        raise InputError(f"objective: {task}.recitation: prompt.form={form} asks for no thought that could recite; "
                         "choose prompt.form=think_first, or an objective without recitation")
    if objective.has("brier", task) and not asks_confidence:
        raise InputError(f"objective: {task}.brier: the prompt asks for no confidence; prepare the data with "
                         "prompt=confidence, or choose an objective without brier")


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
    scheduled = [f"{term.name}_{key}" for term in every for key in term.schedules]
    return Objective(terms, tuple(dict.fromkeys([term.name for term in every] + clipped + scheduled)))


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


def _terms(task: str, rewards: Any) -> tuple[Term, ...]:
    given = rewards.items() if isinstance(rewards, dict) else ()
    terms = tuple(read_term(task, name, spec) for name, spec in given if spec is not None)
    if not terms:
        raise InputError(f"objective: the task {task} has no reward; found {rewards!r}")
    return terms
