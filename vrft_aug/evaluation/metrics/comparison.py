"""Compares each run with the same policy on shuffled images, with the baseline run and with the constant predictor."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import McNemar, Metrics, Quantity, mcnemar
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
    """One evaluation on one data set ("<data_source>/<task>"), with shuffled images and the baseline run to compare."""

    name: str
    dataset: str
    evaluation: Evaluation
    metrics: Metrics
    shuffled: Metrics | None = None  # metrics with shuffled images
    against_shuffled: McNemar | None = None  # mcnemar(shuffled, this)
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
    """One comparison per data set and evaluation with the right images.

    The baseline run is by default the first run on the data set. `notes` say which comparisons are missing, and why.
    Raises InputError if no evaluation has the name `baseline`.
    """
    normal = [one for one in evaluations if not one.facts.shuffled_images]
    if baseline is not None and baseline not in (names := {one.name for one in normal}):
        known = ", ".join(sorted(names)) or "none"
        raise InputError(f"baseline={baseline}: no evaluation has this name; the runs are: {known}")
    first: dict[tuple[str, str], Evaluation] = {}
    for one in sorted(normal, key=lambda one: one.name != baseline):
        for dataset in one.metrics:
            first.setdefault((dataset, one.facts.split), one)
    shuffled = {one.identity: one for one in evaluations if one.facts.shuffled_images}
    return [
        _comparison(one, dataset, shuffled.get(one.identity), first[dataset, one.facts.split], normal)
        for one in normal
        for dataset in one.metrics
    ]


def _comparison(
    one: Evaluation, dataset: str, shuffled: Evaluation | None, base: Evaluation, others: list[Evaluation]
) -> Comparison:
    namesakes = [other.folder for other in others if other.name == one.name and dataset in other.metrics]
    name = distinct_name(one.name, one.folder, namesakes)
    compared = Comparison(name, dataset, one, one.metrics[dataset])
    if shuffled and dataset in shuffled.metrics:
        test = _mcnemar(shuffled, one, dataset, compared.notes)
        compared = replace(compared, shuffled=shuffled.metrics[dataset], against_shuffled=test)
    else:
        compared.notes.append(f"{name} on {dataset}: not evaluated with shuffled images")
    if base is one:
        return compared
    return replace(compared, baseline=base.name, against_baseline=_mcnemar(base, one, dataset, compared.notes))


def _mcnemar(a: Evaluation, b: Evaluation, dataset: str, notes: list[str]) -> McNemar | None:
    try:
        return mcnemar(a.answers_on(dataset), b.answers_on(dataset))
    except InputError as error:
        notes.append(f"{b.name} against {a.name} on {dataset}: {error}")
        return None
