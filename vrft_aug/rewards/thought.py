"""Says whether a thought names what can be seen in the image. No reward reads this: it is measured and never paid."""

import re

from vrft_aug.rewards.answer_text import normalise
from vrft_aug.rewards.parsing import parse
from vrft_aug.rewards.row import ExtraInfo


def thought_right(text: str, row: ExtraInfo) -> float | None:
    """1.0 if the thought of the response `text` contains the row's findings, else 0.0; None for a row without findings,
    or whose prompt asks for no thought.

    Both are lower-cased and runs of blanks become one blank. The findings must be whole words there: "one dark ring" is
    not in "one dark rings". What else the thought says does not count, and neither does the answer.
    """
    findings = normalise(row.get("findings") or "")
    form = row.get("form")
    if not findings or form == "answer_only":
        return None
    thought = normalise(parse(text, row["task"], form=form).thought)
    return float(re.search(rf"(?<!\w){re.escape(findings)}(?!\w)", thought) is not None)
