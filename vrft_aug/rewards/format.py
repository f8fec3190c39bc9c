r"""Pays for the structure that the prompt asks for, right or wrong answer alike (the format reward of A.4)."""

from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(response: Response, ground_truth: str, row: ExtraInfo) -> float:
    r"""1 if the response has the structure that the task's prompt asks for, else 0.

    The structure is one non-empty `<think>...</think>` at the start (blanks before it are allowed), then exactly one
    distinct answer: `\boxed{...}` for classification and grading, `<answer>...[x1, y1, x2, y2]...</answer>` for
    localization; for detection any number of such lists, or `[]` and none. There may be other words around the answer:
    the paper asks for the tags, not for an answer alone.
    Where the row's `form` is answer_first, the response begins with the answer and ends with the `<think>...</think>`;
    where it is answer_only, it begins and ends with the answer and has no such tag. Where the row asks for a
    confidence, there is one beside the answer.
    This reward does not check whether the answer is right, or whether it is a class at all.
    """
    stated = response.confidence is not None or not row.get("confidence")
    return float(response.structured and not response.rejected and stated)
