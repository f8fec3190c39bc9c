"""Shows further metrics in the form of the paper's table, each over the table's seeds: those that its `also` names."""

from collections.abc import Iterator, Sequence

import numpy as np

from vrft_aug.data.seeding import generator
from vrft_aug.errors import InputError
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.metrics.resampled_metrics import metric_of_weights
from vrft_aug.evaluation.metrics.seeds import aligned, crossed
from vrft_aug.evaluation.report.paper.paper_layout import MISSING, shots_text
from vrft_aug.evaluation.report.paper.paper_pairs import ANSWERS
from vrft_aug.evaluation.report.paper.paper_rows import Entry, PaperTable
from vrft_aug.evaluation.report.text_table import Table, interval, spread

NAMES = {
    "auroc": "AUROC, mean over the classes", "auprc": "AUPRC, mean over the classes", "brier": "Brier score",
    "calibration_error": "Calibration error", "aurc": "Area under risk-coverage",
    "accuracy_at_80": "Accuracy of the surest 80 %, %", "accuracy_at_90": "Accuracy of the surest 90 %, %",
    "sensitivity_at_90_specificity": "Sensitivity at 90 % specificity, %", "balanced_accuracy": "Balanced accuracy, %",
    "worst_recall": "Recall of the worst class, %", "macro_f1": "Macro-F1, %",
    "quadratic_kappa": "Quadratic weighted kappa", "mean_absolute_error": "Mean absolute error, grades",
    "mean_iou": "Mean IoU", "recall_50": "Recall of boxes at IoU 0.5, %",
    "precision_50": "Precision of boxes at IoU 0.5, %", "f1_50": "F1 of boxes at IoU 0.5, %",
    "false_boxes": "False boxes per image", "none_right": "No finding, said so, %",
}  # fmt: skip


def further_tables(paper: PaperTable, metrics: Sequence[str]) -> list[Table]:
    """One table per metric that some run has, in the rows of the paper's table; a cell without it has "–"."""
    header = ["Method", "Images per class", *paper.datasets]
    tables = [Table(NAMES.get(metric, metric), header, list(_rows(paper, metric))) for metric in metrics]
    return [one for one in tables if any(set(row[2:]) - {"–", MISSING} for row in one.rows)]


def _rows(paper: PaperTable, metric: str) -> Iterator[list[str]]:
    for row in paper.rows:
        yield [row.heading, shots_text(row.shots), *(_cell(entry, metric) for entry in row.entries)]


def _cell(entry: Entry, metric: str) -> str:
    if entry.own is None:
        return MISSING if entry.asked else "–"
    factor = 100 if NAMES.get(metric, "").endswith(", %") else 1
    runs = list({id(run): run for run in entry.runs if run}.values()) or [entry.own]
    if len(runs) == 1:
        return interval(_of_run(runs[0], metric), factor)
    try:
        quantity, deviation = _over_seeds(runs, metric, entry.cell.dataset)
    except InputError:  # predictions without class probabilities, or of other images
        return "–"
    return spread(quantity, deviation, factor)


def _of_run(run: Comparison, metric: str) -> Quantity | None:
    return run.metrics.get(metric) or (run.metrics.get("probabilities") or {}).get(metric)


def _over_seeds(runs: Sequence[Comparison], metric: str, dataset: str) -> tuple[Quantity, float]:
    """The mean over seeds with its interval over seeds and groups, and the standard deviation over seeds."""
    columns = ["group_id", *ANSWERS, "probabilities"]
    tables = aligned([run.evaluation.rows_on(run.dataset, columns) for run in runs])
    tasks = [run.dataset.rpartition("/")[2] for run in runs]
    disease = (runs[0].metrics.get("probabilities") or {}).get("disease", [])
    of_run = [metric_of_weights(metric, task, table, disease) for task, table in zip(tasks, tables, strict=True)]
    groups = tables[0]["group_id"].to_numpy()
    found = crossed(lambda weights: np.column_stack([one(weights) for one in of_run]), groups,
                    generator(0, f"further {dataset}"))  # fmt: skip
    values = [float(one(np.ones((1, len(groups))))[0]) for one in of_run]
    return found.interval(), float(np.std(values, ddof=1))
