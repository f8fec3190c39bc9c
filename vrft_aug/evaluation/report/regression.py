"""Shows the opponents beside the runs: rows of a result table, columns of CSV, lines below a table.

Opponents are logistic regression on pixels and, where it was asked for, on the features of the policy's vision tower.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.text_table import interval, limits, p_of, p_value

NAMES = {"pixels": "Logistic regression", "features": "On features"}  # in a table, where space is short
WHOLE = {"pixels": "Logistic regression on pixels", "features": "Logistic regression on features"}
FEATURES = (
    "On features: logistic regression on the features of the run's own vision tower, trained on the same images. Below "
    "it, the policy's language model makes less of an image than its eyes see."
)
# key in metrics.json, heading, factor (100: per cent)
CHECKS = [("balanced_accuracy", "balanced accuracy, %", 100), ("quadratic_kappa", "quadratic weighted kappa", 1)]
Found = dict[str, dict[int | None, dict[object, float]]]  # data set -> shots -> seed or run -> accuracy


def accuracy_row(group: Sequence[Comparison]) -> list[str]:
    """The accuracy on each run's images of regression on pixels, trained on the run's rows; '–' without it."""
    return [f"{WHOLE['pixels']}, %", *(interval(_of(one, "pixels", "accuracy"), 100) for one in group)]


def check_rows(group: Sequence[Comparison]) -> list[list[str]]:
    """Other metrics where the runs have them, and McNemar's test of each run against an opponent; none for boxes."""
    if not any(one.metrics.get("majority") for one in group):
        return []
    rows = _check_rows("pixels", group)
    if any("features" in one.beside for one in group):
        accuracy = [f"{WHOLE['features']}, %", *(interval(_of(one, "features", "accuracy"), 100) for one in group)]
        rows += [accuracy, *_check_rows("features", group)]
    return rows


def _check_rows(opponent: str, group: Sequence[Comparison]) -> list[list[str]]:
    name = NAMES[opponent]
    shown = [check for check in CHECKS if any(one.metrics.get(check[0]) for one in group)]
    rows = [[f"{name}, {heading}", *(interval(_of(one, opponent, key), factor) for one in group)]
            for key, heading, factor in shown]  # fmt: skip
    against = name.lower() if opponent == "pixels" else "features"
    return [*rows, [f"p, against {against}", *(p_value(one.test(opponent)) for one in group)]]


def columns(one: Comparison) -> dict[str, float | None]:
    """<opponent>_<metric> with its limits, and p_against_<opponent>; of features only where the run has them."""
    record: dict[str, float | None] = {}
    for opponent in NAMES:
        if opponent == "pixels" or opponent in one.beside:
            for key in ("accuracy", *(key for key, *_ in CHECKS)):
                record |= limits(f"{opponent}_{key}", _of(one, opponent, key))
            record[f"p_against_{opponent}"] = p_of(one.test(opponent))
    return record


def lines(runs: Sequence[Comparison]) -> Iterable[str]:
    """One line per opponent and data set: the accuracies by images per class.

    Each is the mean over the seeds, which draw the training images; on features over the runs, since each has a tower.
    """
    for opponent in NAMES:
        yield from _lines(opponent, runs)


def _lines(opponent: str, runs: Sequence[Comparison]) -> Iterable[str]:
    found: Found = {}
    sources = "seeds" if opponent == "pixels" else "runs"
    for one in runs:
        facts = one.evaluation.facts
        accuracy = _of(one, opponent, "accuracy")
        if accuracy and accuracy["value"] is not None:
            source = facts.seed if opponent == "pixels" else one.evaluation.folder
            found.setdefault(facts.dataset, {}).setdefault(facts.shots, {}).setdefault(source, accuracy["value"])
    for dataset, by_shots in found.items():
        known = sorted(by_shots.items(), key=lambda item: float("inf") if item[0] is None else item[0])
        yield f"{WHOLE[opponent]}, {dataset}: {', '.join(_text(*one, sources) for one in known)}"


def _of(one: Comparison, opponent: str, key: str) -> Quantity | None:
    return one.metrics_of(opponent).get(key)


def _text(shots: int | None, values: dict[object, float], sources: str) -> str:
    images = "all training images" if shots is None else f"{shots} images per class"
    several = f", mean of {len(values)} {sources}" if len(values) > 1 else ""
    return f"{100 * fmean(values.values()):.1f} ({images}{several})"
