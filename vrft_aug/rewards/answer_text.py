r"""Finds labels, boxes and a confidence in the part of a response where an answer counts; parsing.py has the rules.

Every function takes time linear in the length of the text and raises no error, whatever the text.
"""

import math
import re
from collections.abc import Iterator
from itertools import accumulate, islice

LONGEST_LABEL = 1000  # characters; class names are far shorter, and the limit bounds the work on hostile text
MOST_BOXES = 100  # of one image, in an answer and in the ground truth (as COCO's maxDets); likewise

Box = tuple[float, ...]  # x1, y1, x2, y2; in a row with several images the number of its image, from 1 on, comes first

_BRACES = re.compile(r"\\[{}]|\\boxed\s*+\{|[{}]")
_WRAPPER = re.compile(r"\\(?:boxed|emph|(?:text|math)[a-z]{0,6})\s*+\{")
# Possessive quantifiers (`++`): a long run of digits or blanks is read once, without backtracking.
_NUMBER = r"\s*+([-+]?+(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?+\d++)?+)\s*+"
_BOX, _PLACED = (re.compile(rf"\[{','.join([_NUMBER] * size)}\]", re.ASCII) for size in (4, 5))
_NOTHING = re.compile(r"\[\s*+\]")
_CONFIDENCE = re.compile(rf"<confidence>{_NUMBER}</confidence>", re.ASCII)


def normalise(label: str) -> str:
    """Lower case, no blanks at the ends, single blanks inside (A.4: both sides are lower-cased)."""
    return " ".join(label.lower().split())


def confidence(part: str) -> float | None:
    """The one number from 0 to 1 in `<confidence>...</confidence>`; None where there is none, or several differ."""
    stated, _ = only((float(found[1]) for found in _CONFIDENCE.finditer(part)), "")
    return stated if stated is not None and 0 <= stated <= 1 else None


def only(answers: Iterator, none: str) -> tuple:
    """(answer, "") where all answers are equal, else (None, the reason). Stops at the first that differs."""
    first = next(answers, None)
    if first is None:
        return None, none
    if any(other != first for other in answers):
        return None, "several answers"
    return first, ""


def labels(tail: str) -> Iterator[str]:
    r"""The normalised content of each outermost, balanced, non-empty `\boxed{...}`."""
    start, depth = 0, 0
    begin = tail.find("\\boxed")
    if begin < 0:
        return
    for token in _BRACES.finditer(tail, begin):
        brace = token[0]
        if len(brace) == 2:  # an escaped brace is an ordinary character
            continue
        if depth:
            depth += -1 if brace == "}" else 1
            if depth == 0 and (label := _unwrap(tail[start : token.start()])):
                yield label
        elif len(brace) > 2:
            start, depth = token.end(), 1


def _unwrap(label: str) -> str:
    r"""Remove `\text{...}` and similar wrappers around the whole label, up to four deep, then normalise."""
    label = label.strip()[:LONGEST_LABEL]
    for _ in range(4):
        opened = _WRAPPER.match(label)
        if not opened or not label.endswith("}") or not _balanced(label[opened.end() : -1]):
            break
        label = label[opened.end() : -1].strip()
    return normalise(label)


def _balanced(text: str) -> bool:
    steps = (-1 if token[0] == "}" else 1 for token in _BRACES.finditer(text) if len(token[0]) != 2)
    depths = list(accumulate(steps, initial=0))
    return min(depths) == depths[-1] == 0


def all_boxes(tail: str, several: bool = False) -> tuple[tuple[Box, ...] | None, str]:
    """(every box, "") of an answer that has boxes or says that there is none, else (None, the reason). several: see
    `boxes_in`."""
    found = tuple(islice(boxes_in(tail, several), MOST_BOXES + 1))
    nothing = any(_NOTHING.search(tail, start, end) for start, end in _answers(tail))
    if len(found) > MOST_BOXES:
        return None, f"more than {MOST_BOXES} boxes"
    if bool(found) == nothing:
        return None, "several answers" if nothing else "no box"
    return found, ""


def _answers(tail: str) -> Iterator[tuple[int, int]]:
    """Where the content of each `<answer>...</answer>` starts and ends."""
    end = 0
    while (start := tail.find("<answer>", end)) >= 0 and (end := tail.find("</answer>", start)) >= 0:
        yield start, end


def boxes_in(tail: str, several: bool = False) -> Iterator[Box]:
    """Each list of four finite numbers inside `<answer>...</answer>`; of five where the row has several images."""
    for start, end in _answers(tail):
        for match in (_PLACED if several else _BOX).finditer(tail, start, end):
            box = tuple(map(float, match.groups()))
            if all(map(math.isfinite, box)):
                yield box
