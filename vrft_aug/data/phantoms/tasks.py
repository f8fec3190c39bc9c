"""Draws the tasks of the phantoms by a seed: the diseases, their made-up names, and the knowledge that describes them.

A disease is a finding. Some are partial, as "dark ring": their images differ in what the description leaves open. No
image shows two diseases of a task. Names and complete findings are held out: the tiny policy has never met them.
"""

from collections.abc import Mapping

import numpy as np

from vrft_aug.data.phantoms.findings import ALL, HELD_OUT, Finding, words
from vrft_aug.data.phantoms.grades import GRADES, LOOKS, MEASURES, SHAPES, Graded, grade_words
from vrft_aug.data.phantoms.names import draw_names
from vrft_aug.data.setting_checks import check_choice, check_number, written
from vrft_aug.errors import InputError

TASKS = ("findings", *MEASURES)
MOST = 11  # diseases of a task
PARTIAL = 0.25  # share of partial diseases
STREAM = 4621  # so that a task's seed and an image's seed give different numbers

Disease = Mapping[str, Finding]  # name -> what it looks like; in the order of the classes


def draw_diseases(seed: int, number: int) -> Disease:
    """The diseases of a task of classification, 2 to MOST."""
    rng = np.random.default_rng((STREAM, seed, number))
    found: list[Finding] = []
    while len(found) < number:
        finding = HELD_OUT[rng.integers(len(HELD_OUT))]
        if rng.random() < PARTIAL:
            finding = partial(rng, finding)
        if not any(finding.matches(other) for other in found):
            found.append(finding)
    return dict(zip(draw_names(rng, number, held_out=True), found, strict=True))


def partial(rng: np.random.Generator, finding: Finding) -> Finding:
    """The finding with one or two attributes left open."""
    kept = rng.permutation(4)[: rng.integers(2, 4)]
    return Finding(*(value if index in kept else None for index, value in enumerate(finding)))


def completed(rng: np.random.Generator, name: str, diseases: Disease) -> Finding:
    """A complete finding that shows the disease `name` and no other."""
    others = [finding for other, finding in diseases.items() if other != name]
    fitting = [one for one in ALL if one.matches(diseases[name]) and not any(one.matches(other) for other in others)]
    return fitting[rng.integers(len(fitting))]


def draw_graded(seed: int, measure: str) -> list[Graded]:
    """What grade 0 to 4 of a task looks like: the same bright or dark shape for all grades."""
    rng = np.random.default_rng((STREAM, seed, MEASURES.index(measure)))
    look, shape = int(rng.integers(len(LOOKS))), int(rng.integers(len(SHAPES)))
    return [Graded(MEASURES.index(measure), grade, look, shape) for grade in range(len(GRADES))]


def knowledge(task: str, seed: int, number: int | None) -> dict[str, str]:
    """Class -> its description, in the order of the classes. Arguments: see `check_task`, which raises InputError."""
    number = check_task(task, seed, number)
    if number:
        return {name: words(finding) for name, finding in draw_diseases(seed, number).items()}
    return dict(zip(GRADES, map(grade_words, draw_graded(seed, task)), strict=True))


def classes(task: str, seed: int, number: int | None) -> list[str]:
    """The classes of a task, in their order. Arguments: see `check_task`, which raises InputError."""
    return list(knowledge(task, seed, number))


def check_task(task: str, seed: int, number: int | None) -> int:
    """The number of diseases, 0 for a task of grading. Raises InputError for what is no task.

    task: one of TASKS. seed: 0 or more. number: of diseases, 2 to MOST; None for a task of grading.
    """
    check_choice("dataset.loader.task", task, TASKS)
    check_number("task_seed", seed, 0)
    if task in MEASURES and number is not None:
        raise InputError(f"dataset.loader.diseases={number}: task={task} has the grades {', '.join(GRADES)}; use null")
    if task not in MEASURES and not (type(number) is int and 2 <= number <= MOST):
        raise InputError(f"dataset.loader.diseases={written(number)}: must be a whole number, 2 to {MOST}")
    return number or 0
