"""Compares each run with shuffled images, logistic regression, the baseline run and the constant predictor."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import McNemar, Metrics, Quantity, mcnemar
from vrft_aug.evaluation.metrics.too_little import too_little
from vrft_aug.evaluation.runs import Evaluation, distinct_name

SIGNIFICANCE = 0.05
MANY_REJECTED = 0.1  # share of the answers
MARKS = {
    "†": "accuracy is inside the 95 % interval of the constant predictor: no better than always giving the same answer",
    "‡": "accuracy is below the 95 % interval of the constant predictor",
    "§": f"not significantly better than with shuffled images (McNemar p >= {SIGNIFICANCE}): it may ignore its images",
    "¶": f"{100 * MANY_REJECTED:.0f} % of the answers or more are rejected or no class: see Unparseable answers",
}


@dataclass(frozen=True)
class Comparison:
    """One evaluation on one data set ("<data_source>/<task>"), and what it is compared with."""

    name: str
    dataset: str
    evaluation: Evaluation
    metrics: Metrics
    shuffled: Metrics | None = None  # metrics with shuffled images
    against_shuffled: McNemar | None = None  # mcnemar(shuffled, this)
    pixels: Metrics | None = None  # metrics of logistic regression on the pixels
    against_pixels: McNemar | None = None  # mcnemar(logistic regression, this)
    baseline: str | None = None  # None: this run is the baseline
    against_baseline: McNemar | None = None  # mcnemar(baseline, this)
    notes: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> Quantity:
        """The accuracy to quote: with the interval over groups of images, if images share groups."""
        return self.metrics.get("accuracy_grouped") or self.metrics["accuracy"]

    @property
    def marks(self) -> str:
        test = self.against_shuffled
        ignores_images = test is not None and (test["p"] >= SIGNIFICANCE or test["only_b"] <= test["only_a"])
        rejects = self.metrics["unparseable"]["value"] >= MANY_REJECTED
        return constant_mark(self.metrics) + "§" * ignores_images + "¶" * rejects


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
    normal = [one for one in evaluations if not (one.facts.shuffled_images or one.facts.pixels)]
    if baseline is not None and baseline not in (names := {one.name for one in normal}):
        known = ", ".join(sorted(names)) or "none"
        raise InputError(f"baseline={baseline}: no evaluation has this name; the runs are: {known}")
    first: dict[tuple[str, str], Evaluation] = {}
    for one in sorted(normal, key=lambda one: one.name != baseline):
        for dataset in one.metrics:
            first.setdefault((dataset, one.facts.split), one)
    shuffled = {one.identity: one for one in evaluations if one.facts.shuffled_images}
    pixels = {one.folder.parent.resolve(): one for one in evaluations if one.facts.pixels}
    return [
        _comparison(one, dataset, _Others(shuffled.get(one.identity), pixels.get(one.folder.resolve()),
                                          first[dataset, one.facts.split]), normal)
        for one in normal
        for dataset in one.metrics
    ]  # fmt: skip


class _Others(NamedTuple):
    """What an evaluation is compared with."""

    shuffled: Evaluation | None
    pixels: Evaluation | None
    base: Evaluation


def _comparison(one: Evaluation, dataset: str, others: _Others, normal: list[Evaluation]) -> Comparison:
    namesakes = [other.folder for other in normal if other.name == one.name and dataset in other.metrics]
    name = distinct_name(one.name, one.folder, namesakes)
    compared = Comparison(name, dataset, one, one.metrics[dataset])
    if little := too_little(compared.metrics):
        compared.notes.append(f"{name} on {dataset}: {little}")
    compared = _with_pixels(_with_shuffled(compared, others.shuffled), others.pixels)
    if others.base is one:
        return compared
    test = _mcnemar(others.base, one, dataset, compared.notes)
    return replace(compared, baseline=others.base.name, against_baseline=test)


def _with_shuffled(one: Comparison, shuffled: Evaluation | None) -> Comparison:
    if not shuffled or one.dataset not in shuffled.metrics:
        one.notes.append(f"{one.name} on {one.dataset}: not evaluated with shuffled images")
        return one
    test = _mcnemar(shuffled, one.evaluation, one.dataset, one.notes)
    return replace(one, shuffled=shuffled.metrics[one.dataset], against_shuffled=test)


def _with_pixels(one: Comparison, pixels: Evaluation | None) -> Comparison:
    if one.dataset.endswith("/localization"):  # boxes are no classes
        return one
    if not pixels or one.dataset not in pixels.metrics:
        why = one.evaluation.facts.no_pixels
        one.notes.append(f"{one.name} on {one.dataset}: no logistic regression on pixels{why and f' ({why})'}")
        return one
    test = _mcnemar(pixels, one.evaluation, one.dataset, one.notes)
    return replace(one, pixels=pixels.metrics[one.dataset], against_pixels=test)


def _mcnemar(a: Evaluation, b: Evaluation, dataset: str, notes: list[str]) -> McNemar | None:
    try:
        return mcnemar(a.answers_on(dataset), b.answers_on(dataset))
    except InputError as error:
        notes.append(f"{b.name} against {a.name} on {dataset}: {error}")
        return None
