r"""Reads the thought and the answer from a response, once for all rewards.

The rules are strict on purpose, because the policy learns whatever is paid for:

- The answer comes after the last `</think>` and before a `<think>` that is never closed. The rest is the thought. Where
  the prompt asks for no thought, or for one behind the answer, the response must begin with the answer: one that has
  words before it, with tags or without, may have been thought about, and counts for nothing.
- Classification, grading and questions: the label is the content of `\boxed{...}`, the outermost one, with balanced
  braces.
- Localization: the box is a list of four finite numbers inside `<answer>...</answer>`, bare or in any JSON around it
  (`{"bbox_2d": [...]}`, a list of objects, a code fence). Where the row has several images it is a list of five: the
  number of the image comes first.
- Detection: every such list is a box, up to `MOST_BOXES`. An empty list `[]` and no box says that there is none. Both
  together are no answer.
- The confidence is a number from 0 to 1 inside `<confidence>...</confidence>`, beside the answer.
- Tags and `\boxed` count only in lower case, as the prompt writes them.
- Else several equal answers are one answer, and several different answers are no answer. So it is with confidences.

Every function takes time linear in the length of the text and raises no error, whatever the text.
"""

from dataclasses import dataclass
from typing import Any

from vrft_aug.rewards.answer_text import Box, all_boxes, boxes_in, confidence, labels, only

QUESTION = "question"  # one of the options that the row lists
TASKS = ("classification", "grading", "localization", "detection", QUESTION)
BOX_TASKS = ("localization", "detection")  # one box; every box, or none
FORMS = ("think_first", "answer_only", "answer_first")  # what a prompt asks for, in which order

_BEGINS, _ENDS = ("\\boxed", "<answer>"), ("}", "</answer>", "</confidence>")  # of an answer


@dataclass(frozen=True, slots=True)
class Response:
    """What was read from a response: `label` for classification, grading and questions, `box` for localization, `boxes`
    for detection."""

    text: str
    thought: str  # all but the answer part, without tags; the whole text where a thought was asked for and has no tags
    structured: bool  # thought and answer have the places that the form gives them (see `_structured`)
    label: str = ""  # normalised; "" is none
    box: Box | None = None  # in the coordinates that the policy states
    boxes: tuple[Box, ...] | None = None  # likewise; () says that there is none
    confidence: float | None = None  # from 0 to 1, as the policy states it; None where it states none, or several
    rejected: str = ""  # why there is no answer, "" where there is one
    tokens: int | None = None  # length in tokens, the end token included; None where the caller does not know it


def parse(
    text: str, task: str, tokens: int | None = None, form: str | None = None, several: bool = False
) -> Response:
    """Read `text` as a response to a row of `task` (one of `TASKS`).

    tokens: its length, where known. form: one of `FORMS`; None: the first, which rows of earlier versions have.
    several: whether the row has several images, so that a box says in which of them it is.
    """
    form = form or FORMS[0]
    part, thought = answer_part(text, form), _thought(text, form)
    structured = bool(thought or form == "answer_only") and _structured(text, part, form)
    facts: dict[str, Any] = {"confidence": confidence(part), "tokens": tokens}
    if task == "localization":
        box, rejected = only(boxes_in(part, several), "no box")
        return Response(text, thought, structured, box=box, rejected=rejected, **facts)
    if task == "detection":
        boxes, rejected = all_boxes(part, several)
        return Response(text, thought, structured, boxes=boxes, rejected=rejected, **facts)
    label, rejected = only(labels(part), "no answer")
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
