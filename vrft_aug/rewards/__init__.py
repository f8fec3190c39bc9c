"""Scores responses: one module with one pure function per reward, weighed per task by an objective.

    from vrft_aug.rewards import compute_score
    row = {"task": "grading", "classes": ["0", "1", "2", "3", "4"]}
    compute_score("retina", r"<think>A few red dots.</think> \\boxed{1}", "2", row, objective="mfrs")["score"]  # 0.325

It needs neither torch nor verl.
"""

from vrft_aug.rewards.objective import Objective, compose
from vrft_aug.rewards.row import ExtraInfo
from vrft_aug.rewards.score import compute_score

__all__ = ["ExtraInfo", "Objective", "compose", "compute_score"]
