r"""Reading a response, once for all rewards.

The rules are strict on purpose, since whatever is paid for is learned:

- The answer stands after the last `</think>` and before a `<think>` that is never closed; the rest is the thought.
- Classification and grading: the label is the content of `\boxed{...}`, outermost and with balanced braces.
- Localization: the box is a list of four finite numbers inside `<answer>...</answer>`, bare or in any JSON around it
  (`{"bbox_2d": [...]}`, a list of objects, a code fence).
- Tags and `\boxed` are read as the prompt writes them, in lower case.
- Several equal answers are one answer; more than one distinct answer is no answer.

Every function takes time linear in the length of the text and raises nothing on any text.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

TASKS = ("classification", "grading", "localization")
LONGEST_LABEL = 1000  # characters; no class name comes near, and it bounds the work on hostile text

Box = tuple[float, float, float, float]

_BRACES = re.compile(r"\\[{}]|\\boxed\s*+\{|[{}]")
_WRAPPER = re.compile(r"\\(?:boxed|emph|(?:text|math)[a-z]{0,6})\s*+\{")
# Possessive quantifiers: a long run of digits or blanks is read once and never tried again in another way.
_NUMBER = r"\s*+([-+]?+(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?+\d++)?+)\s*+"
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Response:
    """A response, read. `label` is set for classification and grading, `box` for localization."""

    text: str
    thought: str  # all but the answer part, tags removed; the whole text where no `</think>` closes it
    structured: bool  # exactly one non-empty <think>...</think>, at the start
    label: str = ""  # normalised; "" is none
    box: Box | None = None  # in the coordinates that the policy states
    rejected: str = ""  # why there is no answer, "" where there is one


def parse(text: str, task: str) -> Response:
    """Read `text` as a response to a row of `task` (one of `TASKS`)."""
    head, closed, tail = text.rpartition("</think>")
    tail, _, unclosed = tail.partition("<think>")
    thought = (f"{head} {unclosed}" if closed else text).replace("<think>", "").replace("</think>", "").strip()
    structured = (
        bool(closed and thought)
        and text.lstrip().startswith("<think>")
        and text.count("<think>") == 1
        and "</think>" not in head
    )
    if task == "localization":
        box, rejected = _only(_boxes(tail), "no box")
        return Response(text, thought, structured, box=box, rejected=rejected)
    label, rejected = _only(_labels(tail), "no answer")
    return Response(text, thought, structured, label=label or "", rejected=rejected)


def normalise(label: str) -> str:
    """Lower case, no blanks at the ends, single blanks inside (A.4: both sides are lower-cased)."""
    return " ".join(label.lower().split())


def _only(answers: Iterator, none: str) -> tuple:
    """The one distinct answer and "", or None and the reason. Stops at the second distinct answer."""
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
        if len(brace) == 2:  # an escaped brace is a letter
            continue
        if depth:
            depth += -1 if brace == "}" else 1
            if depth == 0 and (label := _unwrap(tail[start : token.start()])):
                yield label
        elif len(brace) > 2:
            start, depth = token.end(), 1


def _unwrap(label: str) -> str:
    r"""Strip `\text{...}` and its kin, up to four deep, where they hold the whole label, then normalise."""
    label = label.strip()[:LONGEST_LABEL]
    for _ in range(4):
        opened = _WRAPPER.match(label)
        if not opened or not label.endswith("}") or not _balanced(label[opened.end() : -1]):
            break
        label = label[opened.end() : -1].strip()
    return normalise(label)


def _balanced(text: str) -> bool:
    depth = 0
    for token in _BRACES.finditer(text):
        if len(token[0]) != 2:
            depth += -1 if token[0] == "}" else 1
        if depth < 0:
            return False
    return depth == 0


def _boxes(tail: str) -> Iterator[Box]:
    """Each list of four finite numbers inside `<answer>...</answer>`."""
    end = 0
    while (start := tail.find("<answer>", end)) >= 0 and (end := tail.find("</answer>", start)) >= 0:
        for match in _BOX.finditer(tail, start, end):
            box = tuple(map(float, match.groups()))
            if all(map(math.isfinite, box)):
                yield box
