r"""Reads the thought and the answer from a response, once for all rewards.

The rules are strict on purpose, because the policy learns whatever is paid for:

- The answer comes after the last `</think>` and before a `<think>` that is never closed. The rest is the thought. Where
  the prompt asks for no thought, or for one behind the answer, the response must begin with the answer: one that has
  words before it, with tags or without, may have been thought about, and counts for nothing.
- Classification and grading: the label is the content of `\boxed{...}`, the outermost one, with balanced braces.
- Localization: the box is a list of four finite numbers inside `<answer>...</answer>`, bare or in any JSON around it
  (`{"bbox_2d": [...]}`, a list of objects, a code fence).
- Detection: every such list is a box, up to `MOST_BOXES`. An empty list `[]` and no box says that there is none. Both
  together are no answer.
- The confidence is a number from 0 to 1 inside `<confidence>...</confidence>`, beside the answer.
- Tags and `\boxed` count only in lower case, as the prompt writes them.
- Else several equal answers are one answer, and several different answers are no answer. So it is with confidences.

Every function takes time linear in the length of the text and raises no error, whatever the text.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

TASKS = ("classification", "grading", "localization", "detection")
BOX_TASKS = ("localization", "detection")  # one box; every box, or none
FORMS = ("think_first", "answer_only", "answer_first")  # what a prompt asks for, in which order
LONGEST_LABEL = 1000  # characters; class names are far shorter, and the limit bounds the work on hostile text
MOST_BOXES = 100  # of one image, in an answer and in the ground truth (as COCO's maxDets); likewise

Box = tuple[float, float, float, float]

_BRACES = re.compile(r"\\[{}]|\\boxed\s*+\{|[{}]")
_WRAPPER = re.compile(r"\\(?:boxed|emph|(?:text|math)[a-z]{0,6})\s*+\{")
# Possessive quantifiers (`++`): a long run of digits or blanks is read once, without backtracking.
_NUMBER = r"\s*+([-+]?+(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?+\d++)?+)\s*+"
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]", re.ASCII)
_NOTHING = re.compile(r"\[\s*+\]")
_CONFIDENCE = re.compile(rf"<confidence>{_NUMBER}</confidence>", re.ASCII)
_BEGINS, _ENDS = ("\\boxed", "<answer>"), ("}", "</answer>", "</confidence>")  # of an answer


@dataclass(frozen=True, slots=True)
class Response:
    """What was read from a response: `label` for classification and grading, `box` for localization, `boxes` for
    detection."""

    text: str
    thought: str  # all but the answer part, without tags; the whole text where a thought was asked for and has no tags
    structured: bool  # thought and answer have the places that the form gives them (see `_structured`)
    label: str = ""  # normalised; "" is none
    box: Box | None = None  # in the coordinates that the policy states
    boxes: tuple[Box, ...] | None = None  # likewise; () says that there is none
    confidence: float | None = None  # from 0 to 1, as the policy states it; None where it states none, or several
    rejected: str = ""  # why there is no answer, "" where there is one
    tokens: int | None = None  # length in tokens, the end token included; None where the caller does not know it


def parse(text: str, task: str, tokens: int | None = None, form: str | None = None) -> Response:
    """Read `text` as a response to a row of `task` (one of `TASKS`).

    tokens: its length, where known. form: one of `FORMS`; None: the first, which rows of earlier versions have.
    """
    form = form or FORMS[0]
    part, thought = answer_part(text, form), _thought(text, form)
    structured = bool(thought or form == "answer_only") and _structured(text, part, form)
    facts: dict[str, Any] = {"confidence": _confidence(part), "tokens": tokens}
    if task == "localization":
        box, rejected = _only(_boxes(part), "no box")
        return Response(text, thought, structured, box=box, rejected=rejected, **facts)
    if task == "detection":
        boxes, rejected = _all_boxes(part)
        return Response(text, thought, structured, boxes=boxes, rejected=rejected, **facts)
    label, rejected = _only(_labels(part), "no answer")
    return Response(text, thought, structured, label=label or "", rejected=rejected, **facts)


def answer_part(text: str, form: str | None) -> str:
    """Where in a response an answer counts: behind the thought, or before it if nothing precedes. form: see `parse`."""
    if form in ("answer_only", "answer_first"):
        return text.partition("<think>")[0] if text.lstrip().startswith(_BEGINS) else ""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def _thought(text: str, form: str) -> str:
    if form == "think_first":
        head, closed, tail = text.rpartition("</think>")
        said = f"{head} {tail.partition('<think>')[2]}" if closed else text
    else:
        _, opened, behind = text.partition("<think>")
        said = behind if opened or form == "answer_only" else text
    return said.replace("<think>", "").replace("</think>", "").strip()


def _structured(text: str, part: str, form: str) -> bool:
    """Whether tags and answer are where the form asks for them: one `<think>...</think>` at the start, or at the end,
    or no such tag and nothing behind the answer. part: what `answer_part` gives.
    """
    tags = (text.count("<think>"), text.count("</think>"))
    if form == "think_first":
        return tags == (1, 1) and text.lstrip().startswith("<think>")
    if form == "answer_first":
        return tags == (1, 1) and text.rstrip().endswith("</think>") and bool(part)
    return tags == (0, 0) and part.rstrip().endswith(_ENDS)


def normalise(label: str) -> str:
    """Lower case, no blanks at the ends, single blanks inside (A.4: both sides are lower-cased)."""
    return " ".join(label.lower().split())


def _confidence(part: str) -> float | None:
    stated, _ = _only((float(found[1]) for found in _CONFIDENCE.finditer(part)), "")
    return stated if stated is not None and 0 <= stated <= 1 else None


def _only(answers: Iterator, none: str) -> tuple:
    """(answer, "") where all answers are equal, else (None, the reason). Stops at the first that differs."""
    first = next(answers, None)
    if first is None:
        return None, none
    if any(other != first for other in answers):
        return None, "several answers"
    return first, ""


def _labels(tail: str) -> Iterator[str]:
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


def _all_boxes(tail: str) -> tuple[tuple[Box, ...] | None, str]:
    """(every box, "") of an answer that has boxes or says that there is none, else (None, the reason)."""
    boxes = tuple(islice(_boxes(tail), MOST_BOXES + 1))
    nothing = any(_NOTHING.search(tail, start, end) for start, end in _answers(tail))
    if len(boxes) > MOST_BOXES:
        return None, f"more than {MOST_BOXES} boxes"
    if bool(boxes) == nothing:
        return None, "several answers" if nothing else "no box"
    return boxes, ""


def _answers(tail: str) -> Iterator[tuple[int, int]]:
    """Where the content of each `<answer>...</answer>` starts and ends."""
    end = 0
    while (start := tail.find("<answer>", end)) >= 0 and (end := tail.find("</answer>", start)) >= 0:
        yield start, end


def _boxes(tail: str) -> Iterator[Box]:
    """Each list of four finite numbers inside `<answer>...</answer>`."""
    for start, end in _answers(tail):
        for match in _BOX.finditer(tail, start, end):
            x1, y1, x2, y2 = map(float, match.groups())
            if all(map(math.isfinite, (x1, y1, x2, y2))):
                yield x1, y1, x2, y2
