"""Makes the tables of thresholds that were fitted on validation images: referral to a human, and screening."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vrft_aug.evaluation.metrics.comparison import Comparison
from vrft_aug.evaluation.metrics.intervals import Quantity
from vrft_aug.evaluation.report.text_table import Table, interval

REFERRALS = {"referral": "accuracy", "referral_at_coverage": "coverage"}  # key in metrics.json: what was asked for
REFERRAL = (
    "Refer to a human: an image whose most probable class is below the threshold is left to a human. Screening: an "
    "image whose probability of disease is at the threshold or above is flagged. Thresholds are fitted on validation "
    "images alone; the intervals are those of the test images for the threshold as it is."
)
Found = Mapping[str, Any]  # what operating_points.operating returned


def operating_tables(title: str, group: Sequence[Comparison]) -> list[Table]:
    """The tables of one data set, one row per run and target; none without an evaluation of the validation split."""
    found = {one.name: one.metrics["operating"] for one in group if one.metrics.get("operating")}
    referral = [[name, *_referral(one[key], asked)] for name, one in found.items() for key, asked in REFERRALS.items()]
    screening = [[name, *_screening(one["screening"])] for name, one in found.items() if "screening" in one]
    decision = [[name, *_decision(one["decision"])] for name, one in found.items() if "decision" in one]
    headers = {
        "Refer to a human": ["Target on validation", "Threshold", "Reached there", "Answered on test, %",
                             "Accuracy of the answered, %", "Referred"],
        "Screening": ["Disease", "Target on validation", "Threshold", "Sensitivity, %", "Specificity, %", "Flagged, %"],
        "Is it worth it? Net benefit": ["Harm of a referral", "Threshold", "Net benefit", "Flag all", "Gain"],
    }  # fmt: skip
    tables = zip(headers.items(), (referral, screening, decision), strict=True)
    return [Table(f"{name}: {title}", ["Run", *header], rows) for (name, header), rows in tables if rows]


def operating_legend(comparisons: Sequence[Comparison]) -> list[str]:
    """How to read the tables, if there are any."""
    return [REFERRAL] if any(one.metrics.get("operating") for one in comparisons) else []


def _referral(found: Found, asked: str) -> Iterator[str]:
    yield f"{asked} {100 * found['target'][asked]:.0f} %"
    if found["threshold"] is None:
        yield from ("none reaches it", "–", "–", "–", "–")
        return
    test = found["test"]
    yield from (f"{found['threshold']:.3f}", f"{100 * found['validation'][asked]:.1f} %")
    yield from (interval(test["coverage"], 100), interval(test["accuracy"], 100), f"{test['referred']} of {test['n']}")


def _screening(found: Found) -> Iterator[str]:
    yield from (", ".join(found["disease"]), f"sensitivity {100 * found['target']:.0f} %")
    if found["threshold"] is None:
        yield from ("no image with disease", "–", "–", "–")
        return
    yield f"{found['threshold']:.3f}"
    shares: list[Quantity] = [found["test"][key] for key in ("sensitivity", "specificity", "flagged")]
    yield from (interval(one, 100) for one in shares)


def _decision(found: Found) -> Iterator[str]:
    yield from (f"{found['harm']:g}", f"{found['threshold']:.3f}")
    yield from (interval(found[key], 1) for key in ("net_benefit", "flag_all", "gain"))
