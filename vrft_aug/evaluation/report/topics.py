"""Divides what a report says beyond accuracy into topics: is it sure, does it look and read, for whom does it fail?"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.report import calibration_figure, severity
from vrft_aug.evaluation.report.condition_tables import condition_legend, condition_tables
from vrft_aug.evaluation.report.groups import by_dataset, title_of
from vrft_aug.evaluation.report.operating_tables import operating_legend, operating_tables
from vrft_aug.evaluation.report.probability_tables import probability_legend, probability_tables
from vrft_aug.evaluation.report.question_tables import question_legend, question_tables
from vrft_aug.evaluation.report.slice_tables import READERS, SLICES, slice_tables
from vrft_aug.evaluation.report.text_table import Table

Groups = dict[str, list[Comparison]]  # title of a data set and split: its runs


class Drawing(NamedTuple):
    """A figure as PNG; name: of its file."""

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True)
class Topic:
    """A section of the report. anchor: of the page. reading: how to read the tables."""

    anchor: str
    heading: str
    reading: list[str]
    tables: list[Table]
    drawings: list[Drawing]


def topics(comparisons: Sequence[Comparison]) -> list[Topic]:
    """The topics that have a table."""
    groups = {title_of(*name): group for name, group in by_dataset(comparisons).items()}
    found = [
        Topic("probabilities", "Is it sure?", probability_legend(comparisons) + operating_legend(comparisons),
              [table for title, group in groups.items()
               for table in (*probability_tables(title, group), *operating_tables(title, group))],
              _drawings("calibration", groups, calibration_figure.calibration_figure, calibration_figure.CAPTION)),
        Topic("conditions", "Does it look and read?", condition_legend(comparisons), condition_tables(comparisons),
              _drawings("severity", groups, severity.severity_figure, severity.CAPTION)),
        Topic("questions", "Which questions does it answer?", question_legend(comparisons), question_tables(groups),
              []),
        Topic("slices", "For whom does it fail?", _slices(comparisons), slice_tables(groups), []),
    ]  # fmt: skip
    return [topic for topic in found if topic.tables]


def _slices(comparisons: Sequence[Comparison]) -> list[str]:
    texts = {"slices": SLICES, "readers": READERS}
    return [text for key, text in texts.items() if any(one.metrics.get(key) for one in comparisons)]


def _drawings(
    kind: str, groups: Groups, draw: Callable[[Sequence[Comparison]], bytes | None], caption: str
) -> list[Drawing]:
    drawn = {title: draw(group) for title, group in groups.items()}
    return [Drawing(f"{kind}-{re.sub(r'[^a-z0-9]+', '-', title.lower())}.png", png, caption)
            for title, png in drawn.items() if png]  # fmt: skip
