"""Makes the tables "Does it look?" and "Does it read?": accuracy with other images, and with other descriptions."""

from collections.abc import Mapping, Sequence

from vrft_aug.evaluation.answers.conditions import CONDITIONS
from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.groups import by_dataset, title_of
from vrft_aug.evaluation.report.text_table import Table, interval, limits, points

RUNS = 6  # per table, so that it fits into a window
READS = {"wrong_knowledge": "Descriptions of the wrong classes", "no_knowledge": "No descriptions"}
LOOKS = {name: one.title.capitalize().replace("Jpeg", "JPEG") for name, one in CONDITIONS.items() if name not in READS}
KEPT = "Kept with degraded images, % of real"
LOOK = (
    "Does it look? Accuracy with other images, and below it the difference from the real ones in points (95 % "
    "interval, paired bootstrap over groups). With shuffled and blank images a policy that looks loses what it saw. "
    "Kept: the mean accuracy with degraded images, as a share of that with real ones."
)
READ = (
    "Does it read? The same images with each class beside the description of another one, and without descriptions. If "
    "the accuracy holds, the knowledge in the prompt is not read."
)


def condition_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """Two tables per data set and split, one column per run, a few runs per table; none without any condition."""
    return [table for name, group in by_dataset(comparisons).items() for table in _tables(title_of(*name), group)]


def _tables(title: str, group: Sequence[Comparison]) -> list[Table]:
    parts = [group[start : start + RUNS] for start in range(0, len(group), RUNS)]
    look = [_table(f"Does it look? {title}", "Real images", LOOKS, part) for part in parts]
    read = [_table(f"Does it read? {title}", "Descriptions as they are", READS, part) for part in parts]
    return [table for table in (*look, *read) if table]


def condition_legend(comparisons: Sequence[Comparison]) -> list[str]:
    """How to read the tables that there are."""
    names = {name for one in comparisons for name in one.reliance.differences}
    return [text for text, known in ((LOOK, LOOKS), (READ, READS)) if names & set(known)]


def condition_columns(one: Comparison) -> dict[str, float | None]:
    """Columns of table.csv: <condition>_accuracy and <condition>_difference with their limits, and kept."""
    found = one.reliance
    record: dict[str, float | None] = {}
    for name, difference in found.differences.items():
        record |= limits(f"{name}_accuracy", _accuracy(one, name)) | limits(f"{name}_difference", difference)
    return record | (limits("kept", found.kept) if found.kept else {})


def _table(title: str, real: str, names: Mapping[str, str], group: Sequence[Comparison]) -> Table | None:
    known = [name for name in names if any(name in one.reliance.differences for one in group)]
    if not known:
        return None
    rows = [[real, *(interval(one.accuracy, 100) for one in group)]]
    rows += [[names[name], *(_cell(one, name) for one in group)] for name in known]
    if names is LOOKS and any(one.reliance.kept for one in group):
        rows.append([KEPT, *(interval(one.reliance.kept, 100) for one in group)])
    return Table(title, ["", *(one.name for one in group)], rows)


def _cell(one: Comparison, name: str) -> str:
    difference = one.reliance.differences.get(name)
    return f"{interval(_accuracy(one, name), 100)}\n{_difference(difference)}" if difference else "–"


def _accuracy(one: Comparison, name: str) -> Quantity:
    metrics = one.metrics_of(name)
    return metrics.get("accuracy_grouped") or metrics["accuracy"]


def _difference(quantity: Quantity) -> str:
    """'−3.1 (−5.0 to −1.2)'."""
    return f"{points(quantity['value'])} ({points(quantity['low'])} to {points(quantity['high'])})"
