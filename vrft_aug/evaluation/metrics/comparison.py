"""Each run on each data set beside its shuffled twin and the baseline run, and what the numbers do not show."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.intervals import mcnemar
from vrft_aug.evaluation.runs import Evaluation, distinct_name

SIGNIFICANCE = 0.05
MARKS = {
    "†": "accuracy lies inside the 95 % interval of the constant predictor: no better than always the same answer",
    "‡": "accuracy lies below the 95 % interval of the constant predictor",
    "§": f"not significantly better than with the images shuffled (McNemar p >= {SIGNIFICANCE}): images may be ignored",
}


@dataclass(frozen=True)
class Comparison:
    """One evaluation on one data set ("<data_source>/<task>"), beside its shuffled twin and the baseline run."""

    name: str
    dataset: str
    evaluation: Evaluation
    metrics: dict
    shuffled: dict | None = None  # metrics with the images shuffled
    against_shuffled: dict | None = None  # mcnemar(shuffled, this)
    baseline: str | None = None  # None: this run is the baseline
    against_baseline: dict | None = None  # mcnemar(baseline, this)
    notes: list[str] = field(default_factory=list)

    @property
    def marks(self) -> str:
        return constant_mark(self.metrics) + ("§" if self._ignores_images else "")

    @property
    def _ignores_images(self) -> bool:
        test = self.against_shuffled
        return test is not None and (test["p"] >= SIGNIFICANCE or test["only_b"] <= test["only_a"])


def constant_mark(metrics: dict) -> str:
    """† or ‡ (see MARKS) or nothing; boxes have no constant predictor here."""
    constant = metrics.get("majority")
    if not constant or metrics["accuracy"]["value"] > constant["high"]:
        return ""
    return "†" if metrics["accuracy"]["value"] >= constant["low"] else "‡"


def compare(evaluations: Sequence[Evaluation], baseline: str | None = None) -> list[Comparison]:
    """Every unshuffled evaluation and data set, beside the baseline run (default: the first on that data set).

    What cannot be compared is said in `notes`, not left out.
    Raises:
        InputError: `baseline` is not the name of an evaluation.
    """
    straight = [one for one in evaluations if not one.shuffled]
    if baseline is not None and baseline not in {one.name for one in straight}:
        known = ", ".join(sorted({one.name for one in straight})) or "none"
        raise InputError(f"baseline={baseline}: no evaluation has this name; the runs are: {known}")
    first: dict[tuple[str, str], Evaluation] = {}
    for one in sorted(straight, key=lambda one: one.name != baseline):
        for dataset in one.metrics:
            first.setdefault((dataset, one.run.get("split", "")), one)
    twins = {one.identity: one for one in evaluations if one.shuffled}
    return [
        _comparison(one, dataset, twins.get(one.identity), first[dataset, one.run.get("split", "")], straight)
        for one in straight
        for dataset in one.metrics
    ]


def _comparison(
    one: Evaluation, dataset: str, twin: Evaluation | None, base: Evaluation, others: list[Evaluation]
) -> Comparison:
    namesakes = [other.folder for other in others if other.name == one.name and dataset in other.metrics]
    name = distinct_name(one.name, one.folder, namesakes)
    facts: dict = {"notes": []}
    if twin and dataset in twin.metrics:
        facts["shuffled"] = twin.metrics[dataset]
        facts["against_shuffled"] = _mcnemar(twin, one, dataset, facts["notes"])
    else:
        facts["notes"].append(f"{name} on {dataset}: not evaluated with shuffled images")
    if base is not one:
        facts |= {"baseline": base.name, "against_baseline": _mcnemar(base, one, dataset, facts["notes"])}
    return Comparison(name, dataset, one, one.metrics[dataset], **facts)


def _mcnemar(a: Evaluation, b: Evaluation, dataset: str, notes: list[str]) -> dict | None:
    try:
        return mcnemar(a.answers_on(dataset), b.answers_on(dataset))
    except InputError as error:
        notes.append(f"{b.name} against {a.name} on {dataset}: {error}")
        return None
