"""Makes the tables of closed questions: accuracy per type beside the text-only baseline, the option prior, chance."""

from collections.abc import Mapping, Sequence
from typing import Any

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.text_table import Table, interval, limits, p_of, p_value
from vrft_aug.rewards.parsing import QUESTION

BASELINES = {"blank": "Text only (image blanked)", "prior": "Option prior"}
READING = (
    "Closed questions can often be guessed. Text only: the same policy answers the same prompts with a grey image. "
    "Option prior: the option that is the most frequent answer of the training questions, of the same type first. "
    "Chance: one option drawn at random. A type with fewer than 10 questions or images says little."
)
TYPE, LONGEST = "type", 30  # the slice that holds the type; types in a table, slices.csv has all


def is_asked(one: Comparison) -> bool:
    return one.dataset.endswith(f"/{QUESTION}")


def baseline_rows(group: Sequence[Comparison]) -> list[list[str]]:
    """The accuracy of both baselines on each run's questions."""
    return [[f"{title}, %", *(interval(_accuracy(one.metrics_of(name)), 100) for one in group)]
            for name, title in BASELINES.items()]  # fmt: skip


def baseline_checks(group: Sequence[Comparison]) -> list[list[str]]:
    """McNemar's test of each run against both baselines; none for other tasks."""
    if not any(map(is_asked, group)):
        return []
    return [[f"p, against {title[0].lower()}{title[1:]}", *(p_value(one.test(name)) for one in group)]
            for name, title in BASELINES.items()]  # fmt: skip


def prior_columns(one: Comparison) -> dict[str, float | None]:
    """Columns of table.csv: prior_accuracy with its limits, and p_against_prior and p_against_blank."""
    if not is_asked(one):
        return {}
    found = limits("prior_accuracy", _accuracy(one.metrics_of("prior")))
    return found | {f"p_against_{name}": p_of(one.test(name)) for name in BASELINES}


def question_tables(groups: Mapping[str, Sequence[Comparison]]) -> list[Table]:
    """One table per run on questions, one row per type. groups: {title of a data set: its runs}."""
    return [_table(title, one) for title, group in groups.items() for one in group if is_asked(one)]


def question_legend(comparisons: Sequence[Comparison]) -> list[str]:
    return [READING] if any(map(is_asked, comparisons)) else []


def _table(title: str, one: Comparison) -> Table:
    whole = [one.metrics, *(one.metrics_of(name) for name in BASELINES)]
    types = [_types(metrics) for metrics in whole]
    rows = [["all", str(one.metrics["n"]), *(interval(_accuracy(metrics), 100) for metrics in whole),
             interval(one.metrics["option_chance"], 100)]]  # fmt: skip
    for name in sorted(types[0], key=lambda name: (-types[0][name]["n"], name))[:LONGEST]:
        few = " (few)" if types[0][name]["too_small"] else ""
        cells = [interval(found.get(name, {}).get("accuracy"), 100) for found in types]
        rows.append([f"{name}{few}", str(types[0][name]["n"]), *cells, interval(types[0][name]["option_chance"], 100)])
    header = ["Type", "Questions", "Accuracy", *BASELINES.values(), "Chance"]
    return Table(f"Accuracy per type of question, %: {one.name}, {title}", header, rows)


def _types(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return metrics.get("slices", {}).get(TYPE, {}).get("of", {})


def _accuracy(metrics: Mapping[str, Any]) -> Quantity | None:
    """That over groups of images where images have several questions."""
    return metrics.get("accuracy_grouped") or metrics.get("accuracy")
