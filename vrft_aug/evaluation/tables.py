"""Comparisons -> tables. A table shows one data set, a column a run; `frame` is the same as rows for CSV."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.table import Table as RichTable

from vrft_aug.evaluation.comparison import Comparison

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


@dataclass(frozen=True)
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.rows]
        return f"### {self.title}\n\n" + "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
        )

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left")
        for position, heading in enumerate(self.header):
            table.add_column(heading, justify="right" if position else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table


def main_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """One table a data set and split: the quantities of QUANTITIES, then what says whether to believe them."""
    return [_main_table(dataset, split, group) for (dataset, split), group in _by_dataset(comparisons).items()]


def _by_dataset(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], list[Comparison]]:
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
    rows += [
        ["Most frequent answer, % of all"] + [_favourite(one.metrics["most_frequent"]) for one in group],
        ["Accuracy, images shuffled, %"] + [interval((one.shuffled or {}).get("accuracy"), 100) for one in group],
        ["  chance for those answers, %"] + [interval((one.shuffled or {}).get("chance"), 100) for one in group],
        ["  p, shuffled against not"] + [p_value(one.against_shuffled) for one in group],
    ]
    if baseline := next((one.baseline for one in group if one.baseline), None):
        cells = [p_value(one.against_baseline) if one.baseline else "baseline" for one in group]
        rows.append([f"p, against {baseline}", *cells])
    return Table(_title(dataset, split), ["", *(one.name for one in group)], rows)


def _title(dataset: str, split: str) -> str:
    return f"{dataset}, {split} split" if split else dataset


def recall_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """Recall of every class, one table a data set; data sets without classes have none."""
    tables = []
    for (dataset, split), group in _by_dataset(comparisons).items():
        classes = group[0].metrics.get("recall", {})
        rows = [[name] + [interval(one.metrics["recall"].get(name), 100) for one in group] for name in classes]
        if rows:
            title = f"Recall of each class, %: {_title(dataset, split)}"
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
        quantity = quantity or {}
        record |= {key: quantity.get("value"), f"{key}_low": quantity.get("low"), f"{key}_high": quantity.get("high")}
    return record | {
        "most_frequent_prediction": metrics["most_frequent"]["prediction"],
        "p_against_shuffled": (one.against_shuffled or {}).get("p"),
        "baseline": one.baseline,
        "p_against_baseline": (one.against_baseline or {}).get("p"),
    }


def interval(quantity: dict | None, factor: int) -> str:
    """'53.5 (48.6–58.3)' in per cent, '0.38 (0.28–0.48)' otherwise, '–' when there is no such number."""
    if not quantity or quantity["value"] is None:
        return "–"
    digits = 1 if factor == 100 else 2
    value, low, high = (None if quantity[key] is None else factor * quantity[key] for key in ("value", "low", "high"))
    limits = "" if low is None else f" ({low:.{digits}f}–{high:.{digits}f})"
    return f"{value:.{digits}f}{limits}"


def p_value(test: dict | None) -> str:
    """'0.013 (+40 −21)': p, images gained, images lost."""
    if test is None:
        return "–"
    p = "< 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"
    return f"{p} (+{test['only_b']} −{test['only_a']})"


def _favourite(favourite: dict) -> str:
    if favourite["prediction"] is None:
        return "–"
    answer = favourite["prediction"]
    return f"{answer if len(answer) <= 24 else answer[:23] + '…'}: {100 * favourite['share']['value']:.1f}"
