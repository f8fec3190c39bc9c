"""Pays for a stated confidence that fits the answer: high where it is right, low where it is wrong (the Brier score).

Reinforcement learning with calibration rewards (RLCR, Damani et al. 2025, arXiv 2507.16806) adds it to accuracy.
"""

from vrft_aug.rewards import accuracy, boxes, iou
from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo

JUDGES = {"localization": iou.reward, "detection": boxes.all_found}


def reward(response: Response, ground_truth: str, row: ExtraInfo) -> float:
    """1 - (confidence - right)^2, from 0 to 1, where right is 1 for the right class, an IoU of at least 0.5, or
    all boxes and no other, else 0.

    RLCR's term is -(confidence - right)^2; the 1 changes no advantage of GRPO. The mean is highest if the confidence is
    the share of such answers that are right. 0 for a response without an answer or without one confidence in [0, 1].
    """
    if response.confidence is None or response.rejected:
        return 0.0
    judge = JUDGES.get(row["task"], accuracy.reward)
    return 1 - (response.confidence - judge(response, ground_truth, row)) ** 2
