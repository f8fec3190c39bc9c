"""Shows the tested claims of a table: as a table to read, as rows for CSV, and with what their test is."""

from collections.abc import Sequence

import pandas as pd

from vrft_aug.evaluation.metrics.comparison import SIGNIFICANCE
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.paper.paper_claims import Outcome, Result
from vrft_aug.evaluation.report.paper.paper_notes import few
from vrft_aug.evaluation.report.text_table import Table, limits, points

HEADER = ["Claim", "Verdict", "Difference (95 % interval)", "p", "p, corrected", "Paper", "Images", "Seeds"]
# Metrics that are shown in points; the others as they are.
POINTS = ("accuracy", "balanced_accuracy", "worst_recall", "macro_f1", "format", "thought_accuracy", "thought_right",
          "accuracy_at_80", "accuracy_at_90", "greedy_agreement", "sensitivity_at_90_specificity")  # fmt: skip
READING = (
    "Difference: of accuracy in points, unless the claim names another metric, on the same test images and seeds, "
    "on average over the data sets and numbers of images of the claim; positive: as claimed, also of an error. "
    "Interval and p: bootstrap over seeds and groups of images together. p, corrected: Holm's correction over all "
    "tests of this table. "
    f"Supported or contradicted: corrected p < {SIGNIFICANCE}. A claim with lines below it must hold in each."
)


def claims_table(outcomes: Sequence[Outcome]) -> Table | None:
    """One row per claim and, below it, one per part; None without claims."""
    rows = [row for one in outcomes for row in (_row(_text(one), one, one.whole),
                                                *(_row(f"  {part.at}", one, part) for part in one.parts))]  # fmt: skip
    return Table("Claims", HEADER, rows) if rows else None


def claims_notes(outcomes: Sequence[Outcome]) -> list[str]:
    """How to read the table, and what the number of seeds cannot show."""
    seeds = min((test.seeds for one in outcomes for test in one.tests if test.seeds), default=None)
    return [READING, *filter(None, [few(seeds) if seeds else ""])] if outcomes else []


def claims_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row per claim and per part, unrounded; differences of shares in [-1, 1]."""
    records = [_record(one, test) for one in outcomes for test in (one.whole, *one.parts)]
    return pd.DataFrame(records).astype({"images": "Int64", "seeds": "Int64"})


def _text(one: Outcome) -> str:
    metric = None if one.claim.metric == "accuracy" else one.claim.metric
    about = ", ".join(filter(None, [metric, one.claim.slice]))
    return f"{one.claim.text} ({about})" if about else one.claim.text


def _is_printed(one: Outcome) -> bool:
    """Whether the paper's numbers are about the same: the accuracy on all test images."""
    return one.claim.metric == "accuracy" and one.claim.slice is None


def _row(text: str, one: Outcome, test: Result) -> list[str]:
    in_points = one.claim.metric in POINTS
    paper = points(test.printed, 2) if _is_printed(one) else "–"
    counts = ["–" if count is None else str(count) for count in (test.images, test.seeds)]
    return [text, test.verdict, _difference(test.difference, in_points), _p(test.p), _p(test.corrected), paper, *counts]


def _difference(quantity: Quantity | None, in_points: bool) -> str:
    """'+3.1 (+0.4 to +5.9)'."""
    if quantity is None:
        return "–"
    ends = [quantity["value"], quantity["low"], quantity["high"]]
    if not in_points:
        ends = [None if end is None else end / 100 for end in ends]
    value, *interval = [points(end, 1 if in_points else 3) for end in ends]
    return f"{value} ({' to '.join(interval)})"


def _p(p: float | None) -> str:
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _record(one: Outcome, test: Result) -> dict:
    claim = one.claim
    return {
        "claim": claim.text,
        "at": test.at,
        **dict(zip(("better", "worse"), claim.ends, strict=True)),
        "metric": claim.metric,
        "slice": claim.slice,
        "verdict": test.verdict,
        **limits("difference", test.difference),
        "p": test.p,
        "p_corrected": test.corrected,
        "images": test.images,
        "seeds": test.seeds,
        "datasets": " ".join(test.datasets),
        "shots": " ".join("all" if one is None else str(one) for one in test.shots),
        "paper": test.printed if _is_printed(one) else None,
    }
