"""Shows logistic regression on pixels beside the runs: rows of a result table, columns of CSV, lines below a table."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.text_table import interval, limits, p_of, p_value

ACCURACY = "Logistic regression on pixels, %"
# key in metrics.json, heading, factor (100: per cent)
CHECKS = [("balanced_accuracy", "Logistic regression, balanced accuracy, %", 100),
          ("quadratic_kappa", "Logistic regression, quadratic weighted kappa", 1)]  # fmt: skip
P = "p, against logistic regression"
Found = dict[str, dict[int | None, dict[int | None, float]]]  # data set -> shots -> seed -> accuracy


def accuracy_row(group: Sequence[Comparison]) -> list[str]:
    """Its accuracy on each run's images, after its training on the run's rows; '–' without it."""
    return [ACCURACY, *(interval(_of(one, "accuracy"), 100) for one in group)]


def check_rows(group: Sequence[Comparison]) -> list[list[str]]:
    """Its other metrics where the runs have them, and McNemar's test of each run against it; none for boxes."""
    if not any(one.metrics.get("majority") for one in group):
        return []
    shown = [check for check in CHECKS if any(one.metrics.get(check[0]) for one in group)]
    rows = [[heading, *(interval(_of(one, key), factor) for one in group)] for key, heading, factor in shown]
    return [*rows, [P, *(p_value(one.test("pixels")) for one in group)]]


def columns(one: Comparison) -> dict[str, float | None]:
    """pixels_<metric> with its limits, and p_against_pixels."""
    record: dict[str, float | None] = {}
    for key in ("accuracy", *(key for key, *_ in CHECKS)):
        record |= limits(f"pixels_{key}", _of(one, key))
    return record | {"p_against_pixels": p_of(one.test("pixels"))}


def lines(runs: Iterable[Comparison]) -> Iterable[str]:
    """One line per data set: the accuracies by images per class, each the mean over the seeds of the runs."""
    found: Found = {}
    for one in runs:
        facts = one.evaluation.facts
        accuracy = _of(one, "accuracy")
        if accuracy and accuracy["value"] is not None:
            found.setdefault(facts.dataset, {}).setdefault(facts.shots, {}).setdefault(facts.seed, accuracy["value"])
    for dataset, by_shots in found.items():
        known = sorted(by_shots.items(), key=lambda item: float("inf") if item[0] is None else item[0])
        yield f"Logistic regression on pixels, {dataset}: {', '.join(_text(*one) for one in known)}"


def _of(one: Comparison, key: str) -> Quantity | None:
    return one.metrics_of("pixels").get(key)


def _text(shots: int | None, by_seed: dict[int | None, float]) -> str:
    images = "all training images" if shots is None else f"{shots} images per class"
    seeds = f", mean of {len(by_seed)} seeds" if len(by_seed) > 1 else ""
    return f"{100 * fmean(by_seed.values()):.1f} ({images}{seeds})"
