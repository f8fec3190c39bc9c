"""Comparisons -> tables. A table shows one data set, a column a run; `frame` is the same as rows for CSV."""

from collections.abc import Sequence

import pandas as pd

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report.text_table import Table, interval, limits, p_value

READING = (
    "Value (95 % interval): Wilson for accuracies, bootstrap over groups of images for the rest. "
    "p: McNemar's exact test on the same images, with images gained and lost."
)
# key of the metrics, heading, factor (100: shown in per cent)
QUANTITIES = [
    ("accuracy", "Accuracy, %", 100),
    ("accuracy_grouped", "Accuracy, interval over groups, %", 100),
    ("majority", "Constant predictor, %", 100),
    ("balanced_accuracy", "Balanced accuracy, %", 100),
    ("macro_f1", "Macro-F1, %", 100),
    ("quadratic_kappa", "Quadratic weighted kappa", 1),
    ("mean_absolute_error", "Mean absolute error, grades", 1),
    ("mean_iou", "Mean IoU", 1),
    ("recall_50", "Recall at IoU 0.5, %", 100),
    ("format", "Format followed, %", 100),
    ("unparseable", "Unparseable answers, %", 100),
]


def main_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """One table a data set and split: the quantities of QUANTITIES, then what says whether to believe them."""
    return [_main_table(dataset, split, group) for (dataset, split), group in by_dataset(comparisons).items()]


def by_dataset(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], list[Comparison]]:
    """{("<data_source>/<task>", split): its comparisons}."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for one in comparisons:
        groups.setdefault((one.dataset, one.evaluation.run.get("split", "")), []).append(one)
    return groups


def _main_table(dataset: str, split: str, group: list[Comparison]) -> Table:
    rows = [["Images"] + [str(one.metrics["n"]) for one in group]]
    for key, heading, factor in QUANTITIES:
        if any(one.metrics.get(key) for one in group):
            rows.append([heading] + [interval(one.metrics.get(key), factor) for one in group])
    rows[1] = [rows[1][0]] + [f"{cell} {one.marks}".strip() for cell, one in zip(rows[1][1:], group, strict=True)]
    rows += _sample_rows([one.metrics.get("samples") for one in group])
    rows += [
        ["Most frequent answer, % of all"] + [_favourite(one.metrics["most_frequent"]) for one in group],
        ["Accuracy, images shuffled, %"] + [interval((one.shuffled or {}).get("accuracy"), 100) for one in group],
        ["  chance for those answers, %"] + [interval((one.shuffled or {}).get("chance"), 100) for one in group],
        ["  p, shuffled against not"] + [p_value(one.against_shuffled) for one in group],
    ]
    if baseline := next((one.baseline for one in group if one.baseline), None):
        cells = [p_value(one.against_baseline) if one.baseline else "baseline" for one in group]
        rows.append([f"p, against {baseline}", *cells])
    return Table(title_of(dataset, split), ["", *(one.name for one in group)], rows)


def _sample_rows(samples: list[dict | None]) -> list[list[str]]:
    """Of runs whose answers are votes."""
    if not any(samples):
        return []
    return [
        ["Samples a vote"] + [str(one["n"]) if one else "–" for one in samples],
        ["  accuracy of single samples, %"] + [f"{100 * one['accuracy']:.1f}" if one else "–" for one in samples],
        ["  any sample right, %"] + [f"{100 * one['any_right']:.1f}" if one else "–" for one in samples],
    ]


def title_of(dataset: str, split: str) -> str:
    """How a set is called in headings."""
    return f"{dataset}, {split} split" if split else dataset


def recall_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """Recall of every class, one table a data set; data sets without classes have none."""
    tables = []
    for (dataset, split), group in by_dataset(comparisons).items():
        classes = group[0].metrics.get("recall", {})
        rows = [[name] + [interval(one.metrics["recall"].get(name), 100) for one in group] for name in classes]
        if rows:
            title = f"Recall of each class, %: {title_of(dataset, split)}"
            tables.append(Table(title, ["Class", *(one.name for one in group)], rows))
    return tables


def rejection_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Why answers were rejected, with counts; None when none was."""
    rows = [
        [one.dataset, one.name, reason, str(count)]
        for one in comparisons
        for reason, count in one.metrics["rejected"].items()
    ]
    return Table("Rejected answers", ["Data set", "Run", "Reason", "Responses"], rows) if rows else None


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a comparison with unrounded numbers in [0, 1] (or grades): what table.csv holds."""
    return pd.DataFrame([_record(one) for one in comparisons])


def _record(one: Comparison) -> dict:
    run, metrics = one.evaluation.run, one.metrics
    record = {"run": one.name, "set": one.dataset} | {
        key: run.get(key) for key in ("split", "policy", "dataset", "prompt", "objective")
    }
    record |= {"n": metrics["n"], "groups": metrics["groups"], "marks": one.marks}
    quantities = {key: metrics.get(key) for key, *_ in QUANTITIES}
    quantities |= {"most_frequent_share": metrics["most_frequent"]["share"]}
    quantities |= {f"shuffled_{key}": (one.shuffled or {}).get(key) for key in ("accuracy", "chance")}
    for key, quantity in quantities.items():
        record |= limits(key, quantity)
    return record | {
        "most_frequent_prediction": metrics["most_frequent"]["prediction"],
        "p_against_shuffled": (one.against_shuffled or {}).get("p"),
        "baseline": one.baseline,
        "p_against_baseline": (one.against_baseline or {}).get("p"),
    }


def quoted_accuracy(metrics: dict) -> dict | None:
    """The accuracy with the interval to quote: over groups of images where images share them."""
    return metrics.get("accuracy_grouped") or metrics.get("accuracy")


def _favourite(favourite: dict) -> str:
    if favourite["prediction"] is None:
        return "–"
    answer = favourite["prediction"]
    return f"{answer if len(answer) <= 24 else answer[:23] + '…'}: {100 * favourite['share']['value']:.1f}"
