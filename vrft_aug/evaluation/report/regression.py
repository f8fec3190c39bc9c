"""Shows logistic regression beside the runs that it is compared with: in result tables, the paper's table and CSV.

The opponents of a run are logistic regression on pixels and, where it was asked for, on the features of the policy's
vision tower.
"""

from collections.abc import Sequence
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
Found = dict[tuple[str, int | None], dict[object, float]]  # (data set, shots) -> {seed or run: accuracy}


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


def paper_rows(runs: Sequence[Comparison], datasets: Sequence[str]) -> list[list[str]]:
    """Rows of the paper's table, [opponent, images per class, accuracy on each data set, average].

    An accuracy is the mean over the seeds, which draw the training images; on features over the runs, since each has a
    tower. Where the prompts of a seed show different images, the best counts: more images show more.
    "–" where there is none; the average is that of all data sets.
    """
    rows = []
    for opponent in NAMES:
        found = _accuracies(opponent, runs)
        for shots in sorted({shots for _, shots in found}, key=lambda count: float("inf") if count is None else count):
            cells = [found.get((dataset, shots)) for dataset in datasets]
            known = [fmean(cell.values()) for cell in cells if cell]
            average = f"{100 * fmean(known):.1f}" if len(known) == len(cells) else "–"
            texts = [_text(cell) if cell else "–" for cell in cells]
            rows.append([WHOLE[opponent], "all" if shots is None else str(shots), *texts, average])
    return rows


def _accuracies(opponent: str, runs: Sequence[Comparison]) -> Found:
    found: Found = {}
    for one in runs:
        facts, accuracy = one.evaluation.facts, _of(one, opponent, "accuracy")
        if accuracy and accuracy["value"] is not None:
            source = facts.seed if opponent == "pixels" else one.evaluation.folder
            known = found.setdefault((facts.dataset, facts.shots), {})
            known[source] = max(accuracy["value"], known.get(source, 0.0))
    return found


def _of(one: Comparison, opponent: str, key: str) -> Quantity | None:
    return one.metrics_of(opponent).get(key)


def _text(values: dict[object, float]) -> str:
    several = f"\nmean of {len(values)}" if len(values) > 1 else ""
    return f"{100 * fmean(values.values()):.1f}{several}"
