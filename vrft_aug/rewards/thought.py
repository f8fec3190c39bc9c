"""Says whether a thought names what can be seen in the image. No reward reads this: it is measured and never paid."""

import re

from vrft_aug.rewards.parsing import normalise, parse
from vrft_aug.rewards.row import ExtraInfo


def thought_right(text: str, row: ExtraInfo) -> float | None:
    """1.0 if the thought of the response `text` contains the row's findings, else 0.0; None for a row without findings.

    Both are lower-cased and runs of blanks become one blank. The findings must be whole words there: "one dark ring" is
    not in "one dark rings". What else the thought says does not count, and neither does the answer.
    """
    findings = normalise(row.get("findings") or "")
    if not findings:
        return None
    thought = normalise(parse(text, row["task"]).thought)
    return float(re.search(rf"(?<!\w){re.escape(findings)}(?!\w)", thought) is not None)
