"""Compares each run with shuffled images, logistic regression, the baseline run and the constant predictor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from vrft_aug.errors import InputError
from vrft_aug.evaluation.answers.conditions import CONDITIONS, DEGRADED
from vrft_aug.evaluation.metrics.intervals import McNemar, Metrics, Quantity, mcnemar
from vrft_aug.evaluation.metrics.reliance import Reliance, reliance
from vrft_aug.evaluation.metrics.too_little import too_little
from vrft_aug.evaluation.runs import Evaluation, distinct_name
from vrft_aug.rewards.parsing import BOX_TASKS, QUESTION

SIGNIFICANCE = 0.05
# folder beside an evaluation: the note where it is missing
EXPECTED = {"shuffled": "not evaluated with shuffled images", "pixels": "no logistic regression on pixels"}
EXPECTED_OF_BOXES = {"shuffled": EXPECTED["shuffled"]}
EXPECTED_OF_QUESTIONS = EXPECTED_OF_BOXES | {"blank": "not evaluated on the text alone (images blanked)",
                                             "prior": "no option prior"}  # fmt: skip
MANY_REJECTED = 0.1  # share of the answers
MARKS = {
    "†": "accuracy is inside the 95 % interval of the constant predictor: no better than always giving the same answer",
    "‡": "accuracy is below the 95 % interval of the constant predictor",
    "§": f"not significantly better than with shuffled images (McNemar p >= {SIGNIFICANCE}): it may ignore its images",
    "◇": f"not significantly better than the option prior, or than on the text alone (McNemar p >= {SIGNIFICANCE})",
    "¶": f"{100 * MANY_REJECTED:.0f} % of the answers or more are rejected or no class: see Unparseable answers",
}


class Beside(NamedTuple):
    """An evaluation in the folder of another one: other images or prompts, or answers of something else.

    test: mcnemar(this, the other one), None where their images differ.
    """

    evaluation: Evaluation
    metrics: Metrics
    test: McNemar | None


@dataclass(frozen=True)
class Comparison:
    """One evaluation on one data set ("<data_source>/<task>"), and what it is compared with."""

    name: str
    dataset: str
    evaluation: Evaluation
    metrics: Metrics
    beside: dict[str, Beside] = field(default_factory=dict)  # folder's name -> what lies in it
    baseline: str | None = None  # None: this run is the baseline
    against_baseline: McNemar | None = None  # mcnemar(baseline, this)
    notes: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> Quantity:
        """The accuracy to quote: with the interval over groups of images, if images share groups."""
        return self.metrics.get("accuracy_grouped") or self.metrics["accuracy"]

    def metrics_of(self, beside: str) -> Metrics:
        """The metrics of an evaluation beside this one; empty without it."""
        return self.beside[beside].metrics if beside in self.beside else {}

    def test(self, beside: str) -> McNemar | None:
        """McNemar's test of an evaluation beside this one against this one: b is this one."""
        return self.beside[beside].test if beside in self.beside else None

    @cached_property
    def reliance(self) -> Reliance:
        """What other images and prompts do to the accuracy; of the conditions beside this run, on the same images."""
        found = {name: self.beside[name].evaluation for name in CONDITIONS if self.test(name)}
        others = {name: one.rows_on(self.dataset, ["group_id", "acc"]) for name, one in found.items()}
        return reliance(self.evaluation.rows_on(self.dataset, ["group_id", "acc"]), others, DEGRADED)

    @property
    def marks(self) -> str:
        ignores_images, guesses = self._fails("shuffled"), False
        if self.dataset.endswith(f"/{QUESTION}"):
            guesses = self._fails("prior") or self._fails("blank")
        rejects = self.metrics["unparseable"]["value"] >= MANY_REJECTED
        return constant_mark(self.metrics) + "§" * ignores_images + "◇" * guesses + "¶" * rejects

    def _fails(self, beside: str) -> bool:
        """Whether this run is not significantly better than what is beside it."""
        test = self.test(beside)
        return test is not None and (test["p"] >= SIGNIFICANCE or test["only_b"] <= test["only_a"])


def constant_mark(metrics: Metrics) -> str:
    """† or ‡ (see MARKS) or ""; boxes have no constant predictor."""
    constant = metrics.get("majority")
    if not constant or metrics["accuracy"]["value"] > constant["high"]:
        return ""
    return "†" if metrics["accuracy"]["value"] >= constant["low"] else "‡"


def paired(a: Comparison, b: Comparison) -> McNemar | None:
    """McNemar's test of two runs on the same images; None if their images differ."""
    return _mcnemar(a.evaluation, b.evaluation, a.dataset, []) if a.dataset == b.dataset else None


def compare(evaluations: Sequence[Evaluation], baseline: str | None = None) -> list[Comparison]:
    """One comparison per data set and evaluation of a policy with the right images.

    The baseline run is by default the first run on the data set. `notes` say where there is too little data, which
    comparisons are missing, and why.
    Raises InputError if no evaluation has the name `baseline`.
    """
    normal = [one for one in evaluations if not one.facts.beside]
    if baseline is not None and baseline not in (names := {one.name for one in normal}):
        known = ", ".join(sorted(names)) or "none"
        raise InputError(f"baseline={baseline}: no evaluation has this name; the runs are: {known}")
    first: dict[tuple[str, str], Evaluation] = {}
    for one in sorted(normal, key=lambda one: one.name != baseline):
        for dataset in one.metrics:
            first.setdefault((dataset, one.facts.split), one)
    inside: dict[Path, list[Evaluation]] = {one.folder.resolve(): [] for one in normal}
    for other in evaluations:
        if other.facts.beside:
            inside.get(other.folder.parent.resolve(), []).append(other)
    return [
        _comparison(one, dataset, inside[one.folder.resolve()], first[dataset, one.facts.split], normal)
        for one in normal
        for dataset in one.metrics
    ]


def _comparison(
    one: Evaluation, dataset: str, beside: list[Evaluation], base: Evaluation, normal: list[Evaluation]
) -> Comparison:
    namesakes = [other.folder for other in normal if other.name == one.name and dataset in other.metrics]
    name = distinct_name(one.name, one.folder, namesakes)
    compared = Comparison(name, dataset, one, one.metrics[dataset])
    if little := too_little(compared.metrics):
        compared.notes.append(f"{name} on {dataset}: {little}")
    compared.beside.update(_beside(compared, beside))
    compared.notes.extend(_lacking(compared))
    if base is one:
        return compared
    test = _mcnemar(base, one, dataset, compared.notes)
    return replace(compared, baseline=base.name, against_baseline=test)


def _beside(one: Comparison, others: list[Evaluation]) -> Iterator[tuple[str, Beside]]:
    for other in others:
        if one.dataset in other.metrics:
            same = other.facts.split == one.evaluation.facts.split
            test = _mcnemar(other, one.evaluation, one.dataset, one.notes) if same else None
            yield other.facts.beside, Beside(other, other.metrics[one.dataset], test)


def _lacking(one: Comparison) -> Iterator[str]:
    """What every evaluation should be compared with, and is not."""
    task = one.dataset.rpartition("/")[2]
    of_task = dict.fromkeys(BOX_TASKS, EXPECTED_OF_BOXES) | {QUESTION: EXPECTED_OF_QUESTIONS}
    for name, what in of_task.get(task, EXPECTED).items():
        if name not in one.beside:
            why = one.evaluation.facts.without.get(name, "")
            yield f"{one.name} on {one.dataset}: {what}{why and f' ({why})'}"


def _mcnemar(a: Evaluation, b: Evaluation, dataset: str, notes: list[str]) -> McNemar | None:
    try:
        return mcnemar(a.answers_on(dataset), b.answers_on(dataset))
    except InputError as error:
        notes.append(f"{b.name} against {a.name} on {dataset}: {error}")
        return None
