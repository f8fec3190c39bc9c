"""Makes the tables of class probabilities and vote shares: ranking, calibration, and how far to trust a sure answer."""

from collections.abc import Iterator, Sequence

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Metrics
from vrft_aug.evaluation.report.text_table import Table, interval, limits

BLOCKS = {"probabilities": "Class probabilities", "votes": "Vote shares"}  # key in metrics.json: heading
# key in metrics.json, heading, factor (100: per cent)
QUANTITIES = [
    ("auroc", "AUROC", 1),
    ("auprc", "AUPRC", 1),
    ("brier", "Brier score", 1),
    ("calibration_error", "Calibration error", 1),
    ("aurc", "Area under risk-coverage", 1),
    ("accuracy_at_80", "Accuracy, surest 80 %", 100),
    ("accuracy_at_90", "Accuracy, surest 90 %", 100),
    ("sensitivity_at_90_specificity", "Sensitivity at 90 % specificity", 100),
    ("greedy_agreement", "Is its answer, %", 100),
    ("average_precision", "AP at IoU 0.5", 1),
]
READING = (
    "Class probabilities: of each listed class at the place of the answer, after the policy's own thought. Vote "
    "shares: of several samples. AUROC and AUPRC: means over the classes, each against the rest. Brier score (0 to 2) "
    "and calibration error: smaller is better. Area under risk-coverage: error rate of the surest answers, averaged "
    "over how many are kept; smaller is better. Is its answer: how often the most probable class is the answer given."
)


def probability_tables(title: str, group: Sequence[Comparison]) -> list[Table]:
    """The tables of one data set: per kind of score all metrics, one row per run, and the AUROC of each class."""
    return [table for block in BLOCKS for table in _tables(block, title, group)]


def probability_legend(comparisons: Sequence[Comparison]) -> list[str]:
    """How to read the tables, if there are any."""
    return [READING] if any(one.metrics.get(block) for one in comparisons for block in BLOCKS) else []


def probability_columns(one: Comparison) -> dict[str, float | None]:
    """Columns of table.csv: <metric> with its limits, of vote shares votes_<metric>; none without scores."""
    record: dict[str, float | None] = {}
    for block, prefix in (("probabilities", ""), ("votes", "votes_")):
        found: Metrics = one.metrics.get(block) or {}
        for key in (key for key, *_ in QUANTITIES if key in found):
            record |= limits(f"{prefix}{key}", found[key])
    return record


def _tables(block: str, title: str, group: Sequence[Comparison]) -> Iterator[Table]:
    found = {one.name: one.metrics[block] for one in group if one.metrics.get(block)}
    if not found:
        return
    shown = [(key, heading, factor) for key, heading, factor in QUANTITIES if any(key in one for one in found.values())]
    rows = [[name, *(interval(one.get(key), factor) for key, _, factor in shown)] for name, one in found.items()]
    yield Table(f"{BLOCKS[block]}: {title}", ["Run", *(heading for _, heading, _ in shown)], rows)
    classes = dict.fromkeys(name for one in found.values() for name in one.get("auroc_of", {}))
    if len(classes) > 2:
        rows = [[name, *(interval(one["auroc_of"].get(name), 1) for one in found.values())] for name in classes]
        yield Table(f"AUROC of each class, {BLOCKS[block].lower()}: {title}", ["Class", *found], rows)
