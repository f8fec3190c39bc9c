r"""Format reward (A.4): "whether the model's generated output adheres to the expected structured format"."""

from collections.abc import Mapping

from vrft_aug.rewards.parsing import Response


def reward(response: Response, ground_truth: str, row: Mapping) -> float:
    r"""1 if the response has the structure that the task's prompt asks for, else 0.

    The structure is one non-empty `<think>...</think>` at the start (blanks before it are allowed), then exactly one
    distinct answer: `\boxed{...}` for classification and grading, `<answer>...[x1, y1, x2, y2]...</answer>` for
    localization. Other words may stand around the answer, as the paper asks for enclosure and not for silence; whether
    the answer is right, or a class at all, is not looked at.
    """
    return float(response.structured and not response.rejected)
