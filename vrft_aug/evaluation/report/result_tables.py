"""Makes the result tables from comparisons, one per data set with one column per run, and the rows of table.csv."""

from collections.abc import Sequence

import pandas as pd

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report.condition_tables import condition_columns
from vrft_aug.evaluation.report.groups import by_dataset, title_of
from vrft_aug.evaluation.report.probability_tables import probability_columns
from vrft_aug.evaluation.report.provenance import ROWS
from vrft_aug.evaluation.report.question_tables import baseline_checks, baseline_rows, prior_columns
from vrft_aug.evaluation.report.regression import accuracy_row, check_rows, columns
from vrft_aug.evaluation.report.text_table import Table, interval, limits, p_of, p_value

READING = (
    "Value (95 % interval). The interval of an accuracy is Wilson's; the others come from a bootstrap over groups of "
    "images. p: McNemar's exact test on the same images, with the number of images gained (+) and lost (−)."
)
# key in run.json and its key: columns of table.csv
PROVENANCE = [("labels", "train"), ("labels", "val"), ("image_tokens", "least"), ("image_tokens", "most"),
              ("knowledge", "unreviewed"), ("knowledge", "entries")]  # fmt: skip
# key in metrics.json, heading, factor (100: per cent)
QUANTITIES = [
    ("accuracy", "Accuracy, %", 100),
    ("accuracy_grouped", "Accuracy, interval over groups, %", 100),
    ("unparseable", "Unparseable answers, %", 100),
    ("lenient_accuracy", "Lenient accuracy, %", 100),
    ("thought_accuracy", "Thought (findings named right), %", 100),
    ("majority", "Constant predictor, %", 100),
    ("option_chance", "Chance of the options, %", 100),
    ("balanced_accuracy", "Balanced accuracy, %", 100),
    ("macro_f1", "Macro-F1, %", 100),
    ("quadratic_kappa", "Quadratic weighted kappa", 1),
    ("mean_absolute_error", "Mean absolute error, grades", 1),
    ("mean_iou", "Mean IoU", 1),
    ("recall_50", "Recall at IoU 0.5, %", 100),
    ("precision_50", "Precision at IoU 0.5, %", 100),
    ("f1_50", "F1 at IoU 0.5, %", 100),
    ("false_boxes", "False boxes per image", 1),
    ("none_right", "No finding, said so, %", 100),
    ("format", "Format followed, %", 100),
    ("stated_confidence", "Stated confidence, %", 100),
    ("stated_brier", "Brier score of the stated confidence", 1),
    ("stated_calibration_error", "Calibration error of the stated confidence", 1),
]
FACTS = ("split", "policy", "dataset", "external", "prompt", "objective", "variant")  # columns of table.csv
LENIENT = "Lenient accuracy also counts right answers in another tag or sentence. They are never rewarded."
THOUGHT = "Thought: answers whose thought names what the image shows, word for word. It is never rewarded."


def all_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """The main tables, recall of the classes, rejected answers."""
    return [*main_tables(comparisons), *_further_tables(comparisons)]


def page_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """The same for the page: one row per run, and two tables per data set, so that each fits into a window."""
    tables = [table.transposed() for name, group in by_dataset(comparisons).items() for table in _halves(*name, group)]
    return [*tables, *_further_tables(comparisons)]


def main_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """One table per data set and split: first QUANTITIES, then the checks of whether to believe them."""
    groups = by_dataset(comparisons).items()
    halves = [_halves(*name, group) for name, group in groups]
    return [Table(first.title, first.header, first.rows + second.rows) for first, second in halves]


def _further_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    rejected = rejection_table(comparisons)
    return [*recall_tables(comparisons), *([rejected] if rejected else [])]


def _halves(dataset: str, split: str, group: list[Comparison]) -> tuple[Table, Table]:
    """The quantities and the checks of one data set; one column per run."""
    title, header = title_of(dataset, split), ["", *(one.name for one in group)]
    rows = [["Images"] + [str(one.metrics["n"]) for one in group]]
    for key, heading, factor in QUANTITIES:
        if any(one.metrics.get(key) for one in group):
            rows.append([heading] + [interval(one.metrics.get(key), factor) for one in group])
            if key == "majority":
                rows.append(accuracy_row(group))
            if key == "option_chance":
                rows += baseline_rows(group)
    rows[1] = [rows[1][0]] + [f"{cell} {one.marks}".strip() for cell, one in zip(rows[1][1:], group, strict=True)]
    rows += _sample_rows([one.metrics.get("samples") for one in group])
    return Table(title, header, rows), Table(f"Checks: {title}", header, _checks(group) + _provenance_rows(group))


def _checks(group: list[Comparison]) -> list[list[str]]:
    blind = [one.metrics_of("shuffled") for one in group]
    rows = [
        ["Most frequent answer, % of all"] + [_favourite(one.metrics["most_frequent"]) for one in group],
        ["Accuracy, images shuffled, %"] + [interval(one.get("accuracy"), 100) for one in blind],
        ["  chance level of these answers, %"] + [interval(one.get("chance"), 100) for one in blind],
        ["  p, against shuffled"] + [p_value(one.test("shuffled")) for one in group],
    ]
    rows += check_rows(group) + baseline_checks(group)
    if baseline := next((one.baseline for one in group if one.baseline), None):
        cells = [p_value(one.against_baseline) if one.baseline else "baseline" for one in group]
        rows.append([f"p, against {baseline}", *cells])
    return rows


def _provenance_rows(group: list[Comparison]) -> list[list[str]]:
    rows = [[heading, *(text(one.evaluation.facts) or "–" for one in group)] for heading, text in ROWS.items()]
    return [row for row in rows if set(row[1:]) != {"–"}]


def _sample_rows(samples: list[dict | None]) -> list[list[str]]:
    """The rows for runs whose answers are votes."""
    if not any(samples):
        return []
    return [
        ["Samples per vote"] + [str(one["n"]) if one else "–" for one in samples],
        ["  accuracy of single samples, %"] + [f"{100 * one['accuracy']:.1f}" if one else "–" for one in samples],
        ["  any sample right, %"] + [f"{100 * one['any_right']:.1f}" if one else "–" for one in samples],
    ]


def recall_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """Recall of every class, one table per data set that has classes."""
    tables = []
    for (dataset, split), group in by_dataset(comparisons).items():
        if classes := group[0].metrics.get("recall"):
            rows = [[name] + [interval(one.metrics["recall"].get(name), 100) for one in group] for name in classes]
            title = f"Recall of each class, %: {title_of(dataset, split)}"
            tables.append(Table(title, ["Class", *(one.name for one in group)], rows))
    return tables


def rejection_table(comparisons: Sequence[Comparison]) -> Table | None:
    """The reasons why answers were rejected, with counts and shares; None if none was rejected."""
    rows = [
        [one.dataset, one.name, reason, f"{count} of {one.metrics['n']}", f"{100 * count / one.metrics['n']:.1f}"]
        for one in comparisons
        for reason, count in one.metrics["rejected"].items()
    ]
    return Table("Rejected answers", ["Data set", "Run", "Reason", "Responses", "% of all"], rows) if rows else None


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The rows of table.csv: one per comparison, with unrounded numbers in [0, 1] (or grades)."""
    return pd.DataFrame([_record(one) for one in comparisons])


def _record(one: Comparison) -> dict:
    facts, metrics = one.evaluation.facts, one.metrics
    record = {
        "run": one.name,
        "set": one.dataset,
        **{key: getattr(facts, key) for key in FACTS},
        "n": metrics["n"],
        "groups": metrics["groups"],
        "marks": one.marks,
    }
    quantities = {key: metrics.get(key) for key, *_ in QUANTITIES}
    quantities |= {"most_frequent_share": metrics["most_frequent"]["share"]}
    quantities |= {f"shuffled_{key}": one.metrics_of("shuffled").get(key) for key in ("accuracy", "chance")}
    for key, quantity in quantities.items():
        record |= limits(key, quantity)
    return record | {
        "most_frequent_prediction": metrics["most_frequent"]["prediction"],
        "p_against_shuffled": p_of(one.test("shuffled")),
        **columns(one),
        **condition_columns(one),
        **prior_columns(one),
        **probability_columns(one),
        "baseline": one.baseline,
        "p_against_baseline": p_of(one.against_baseline),
        **{f"{name}_{key}": (getattr(facts, name) or {}).get(key) for name, key in PROVENANCE},
    }


def _favourite(favourite: dict) -> str:
    if favourite["prediction"] is None:
        return "–"
    answer = favourite["prediction"]
    return f"{answer if len(answer) <= 24 else answer[:23] + '…'}: {100 * favourite['share']['value']:.1f}"
